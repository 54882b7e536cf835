"""What methods with a mixture of its own for every scenario have in common: whole uploads side by side, weighed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from msmtrec.aggregation import chunks
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, TABLES, Policy, Role
from msmtrec.methods.base import Gathered, Method, Outcome, Reply, table_policies
from msmtrec.methods.fedavg import new_means
from msmtrec.methods.phases import MODEL
from msmtrec.methods.settings.base import SharingSettings

Uploads = dict[str, list[Tensor]]
"""name -> the K tensors of those who answered, in table order"""


@dataclass(frozen=True)
class Mixed:
    """Args:
    means: of those who answered last, each counting once, and the shared tables: what a scenario that is new gets.
    met: scenarios that have a model of their own.
    """

    means: Parameters
    met: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Weighed:
    """Args:
    weights: [K, K] float64; row i makes scenario i's mixture, and sums to 1.
    beside: for each scenario the further slots that it gets; empty where there are none.
    """

    weights: Tensor
    beside: Sequence[Mapping[str, Parameters]] = ()


class Mixing(Method[Mixed]):
    """The server's half: scenario i gets sum over j of weights_ij w_j, over those who answered in this round.

    Slices that belong to one scenario (`Declaration.owners`) stay with it: there is nothing to mix them with.

    Attributes:
        mixed: roles that are mixed.
        policy: PERSONALISE where the mixture takes the model's place, which then ages; COLLECT where the model stays.
        into: the slot that the mixture goes to.
    """

    state_type = Mixed
    mixed: tuple[Role, ...] = BODY_AND_HEAD
    policy: Policy = Policy.PERSONALISE
    into: str = MODEL
    settings: SharingSettings

    @abstractmethod
    def weigh(self, gathered: Gathered, uploads: Uploads, means: Parameters) -> Weighed:
        """The weights of a round, of whole uploads and their plain means."""

    def cautions(self, scenarios: int) -> Iterator[str]:
        if not self.compared():
            yield "the network has nothing that would be mixed; but for shared embeddings this is local training"

    def compared(self) -> tuple[str, ...]:
        """Parameters by which scenarios are compared: what is mixed, without running moments."""
        return tuple(d.name for d in self.leaving() if d.trained and d.role not in TABLES)

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        return {(MODEL, role): self.policy for role in self.mixed} | table_policies(self.settings)

    def leaving(self, slot: str = MODEL) -> tuple[Declaration, ...]:
        return tuple(d for d in super().leaving(slot) if not d.owners)

    def init(self, common: Parameters, rows: Mapping[str, int]) -> Mixed:
        return Mixed(dict(common))

    def aggregate(self, state: Mixed, gathered: Gathered) -> Outcome[Mixed]:
        uploads = self.side_by_side(gathered, state.means)
        means = {name: chunks.mean(tensors) for name, tensors in uploads.items()}
        alone = Weighed(torch.eye(len(gathered.scenarios), dtype=torch.float64))
        weighed = self.weigh(gathered, uploads, means) if self.compared() else alone
        mixtures = mix(weighed.weights, uploads, means)
        new = Mixed({**new_means(state.means, gathered), **means}, state.met | set(gathered.scenarios))
        tables = self.refresh(new).slots
        replies = {}
        for name, own, beside in zip(gathered.scenarios, mixtures, weighed.beside or [{}] * len(mixtures), strict=True):
            replies[name] = Reply({**tables, **beside, self.into: {**tables.get(self.into, {}), **own}})
        shares = zip(gathered.scenarios, weighed.weights.diagonal().tolist(), strict=True)
        return Outcome(new, replies, {"own_weight": dict(shares)})

    def side_by_side(self, gathered: Gathered, last: Parameters, slot: str = MODEL) -> Uploads:
        """The uploads of a slot. A scenario that lacks a task counts there as the mean of those that have it.

        So it adds nothing of its own to anybody's mixture, and gets a tower that others have trained.
        """
        own, tasks = gathered.own(slot), list(gathered.tasks.values())
        found = {}
        for d in self.leaving(slot):
            if d.role not in TABLES:
                tensors = [sent[d.name] for sent in own.values()]
                found[d.name] = filled(tensors, tasks, last[d.name]) if d.unit_axis == "task" else tensors
        return found

    def refresh(self, state: Mixed) -> Reply:
        tables = {name: value for name, value in state.means.items() if name not in self.network()}
        return Reply({MODEL: tables} if tables else {})

    def welcome(self, state: Mixed, scenario: str) -> tuple[Mixed, Reply]:
        network = {name: state.means[name] for name in self.network()}
        slots = {MODEL: state.means, **({self.into: network} if self.into != MODEL else {})}
        return replace(state, met=state.met | {scenario}), Reply(slots)

    def back(self, state: Mixed, scenario: str) -> Reply | None:
        """Who was there goes on with its own model."""
        return self.refresh(state) if scenario in state.met else None


def filled(tensors: list[Tensor], tasks: list[tuple[bool, ...]], last: Tensor | None = None) -> list[Tensor]:
    """With the others' mean in the slices [task, ...] of tasks that a scenario lacks.

    Where nobody has a task it is as in `last`; without that, as it is.
    """
    found = list(tensors)
    for task in range(len(tensors[0])):
        having = [tensor[task] for tensor, has in zip(tensors, tasks, strict=True) if has[task]]
        if len(having) < len(tensors) and (having or last is not None):
            mean = chunks.mean(having) if having or last is None else last[task]
            for place, has in enumerate(tasks):
                if not has[task]:
                    found[place] = found[place].index_copy(0, torch.tensor([task]), mean.unsqueeze(0))
    return found


def mix(weights: Tensor, uploads: Uploads, means: Parameters) -> list[Parameters]:
    """For each row of weights [M, K], of sum 1: name -> mean + sum over j of weights_j (upload_j - mean)."""
    found: list[Parameters] = [{} for _ in weights]
    for name, tensors in uploads.items():
        mean = means[name]
        for own, added in zip(found, chunks.combine_each(weights, tensors, [mean] * len(tensors)), strict=True):
            own[name] = mean + added
    return found


def compare(uploads: Uploads, means: Parameters, names: Sequence[str]) -> Tensor:
    """[K, K] float64 inner products of how far the uploads are from their mean, over all the named parameters."""
    parts = [(uploads[name], [means[name]] * len(uploads[name])) for name in names]
    return chunks.gram_of(parts)
