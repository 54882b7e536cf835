"""FedHCA² (Lu et al., CVPR 2024): a conflict-averse update for bodies, attention among heads, weights learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from msmtrec.aggregation import chunks
from msmtrec.aggregation.attention import attended
from msmtrec.aggregation.conflict import coordinate
from msmtrec.aggregation.personalization import HyperStep
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, BUFFERS, TABLES, Policy, Role
from msmtrec.methods.base import Gathered, Method, Outcome, Reply, table_policies
from msmtrec.methods.fedavg import new_means
from msmtrec.methods.fedrep import HEAD
from msmtrec.methods.mixing import filled
from msmtrec.methods.phases import MODEL
from msmtrec.methods.settings.fedhca2 import FedHCA2Settings

BODY = "body"


@dataclass(frozen=True)
class Learned:
    """A hyper-weight.

    Args:
        weight, velocity: of its descent.
        given: name -> what was added, times the weight, to the scenario's last model; empty where nothing was.
    """

    weight: float
    velocity: float = 0.0
    given: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """What the server knows of one scenario.

    Args:
        parameters: what its network held after its last download.
        weights: BODY -> alpha; a head's tensor and task -> beta.
    """

    parameters: Parameters
    weights: Mapping[str, Learned] = field(default_factory=dict)


@dataclass(frozen=True)
class FedHCA2State:
    """Args:
    first: the common first parameters.
    tables: shared tables.
    held: scenario -> what it holds; absent before its first round.
    """

    first: Parameters
    tables: Parameters
    held: Mapping[str, Held] = field(default_factory=dict)


class FedHCA2(Method[FedHCA2State]):
    """Body: w_k <- w_k + Delta_k + alpha_k U, U = CAGrad of all Delta with radius c, over 1 + c².

    Head, for each tensor of each decoder i: w_i <- w_i + Delta_i + beta_i sum over j of softmax_j(<Delta_i, Delta_j> /
    sqrt d) Delta_j. Decoders are the gates and towers of every scenario and task, which the paper lets attend to each
    other whatever their task. Delta_k is what the scenario's network has moved by since its last download, w_k.

    alpha and beta are learned by plain gradient descent with momentum .9 and decay 1e-4, within [0, 1]: the gradient is
    (w_last - w_now) carried back through what was added last, that is -<Delta_now, added>. They move by the update that
    followed an addition before they weigh the next one. Nothing is divided by |U|², as `pf-msmtrec` does: the rule is
    the authors', and knows the scale of updates.

    The authors have one beta for weight and bias of a layer, here each tensor has its own. With one scenario there is
    nobody to listen to, and nothing is added. Of a task that a scenario lacks it gets the mean of the others' tensors.
    Running moments stay at home: a variance plus a multiple of another's update may be none.
    """

    state_type = FedHCA2State

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedHCA2Settings) -> None:
        self.declarations, self.settings = declarations, settings
        mine = [d for d in self.leaving() if d.role not in TABLES]
        self.body = tuple(d for d in mine if d.role not in HEAD)
        self.head = tuple(d for d in mine if d.role in HEAD)
        self.decoders: dict[str, tuple[str, int | None]] = {}
        for d in self.head:
            tasks = range(d.shape[0] or 0) if d.unit_axis == "task" else (None,)
            self.decoders |= {f"{d.name}/{task}": (d.name, task) for task in tasks}
        self.step = HyperStep(rate=settings.hyper_rate)

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        mine = [role for role in BODY_AND_HEAD if role not in BUFFERS]
        found = {(MODEL, role): Policy.PERSONALISE if role in HEAD else Policy.COORDINATE for role in mine}
        return found | table_policies(self.settings)

    def leaving(self, slot: str = MODEL) -> tuple[Declaration, ...]:
        """Slices that belong to one scenario stay with it."""
        return tuple(d for d in super().leaving(slot) if not d.owners)

    def init(self, common: Parameters, rows: Mapping[str, int]) -> FedHCA2State:
        network = {name: common[name] for name in self.network()}
        return FedHCA2State(network, {name: value for name, value in common.items() if name not in network})

    def last(self, state: FedHCA2State, scenario: str) -> Parameters:
        return state.held[scenario].parameters if scenario in state.held else state.first

    def aggregate(self, state: FedHCA2State, gathered: Gathered) -> Outcome[FedHCA2State]:
        last = {name: self.last(state, name) for name in gathered.scenarios}
        sent = {name: self._known(own, last[name], gathered.tasks[name]) for name, own in gathered.own().items()}
        moved = {name: self._moved(state.held.get(name), own, last[name]) for name, own in sent.items()}
        added = self._added(sent, last, gathered.tasks) if len(sent) > 1 else {}
        weights = {
            name: {key: replace(weight, given=added.get(name, {}).get(key, {})) for key, weight in own.items()}
            for name, own in moved.items()
        }
        new = {name: self._mixture(own, weights[name]) for name, own in sent.items()}
        for d in (*self.body, *self.head):
            if d.unit_axis == "task":
                own = [parameters[d.name] for parameters in new.values()]
                for parameters, tensor in zip(new.values(), filled(own, list(gathered.tasks.values())), strict=True):
                    parameters[d.name] = tensor
        held = {name: Held(parameters, weights[name]) for name, parameters in new.items()}
        after = FedHCA2State(state.first, new_means(state.tables, gathered), {**state.held, **held})
        replies = {name: Reply({MODEL: parameters | after.tables}) for name, parameters in new.items()}
        return Outcome(after, replies, {"alpha": {name: own[BODY].weight for name, own in weights.items()}})

    def _known(self, sent: Parameters, last: Parameters, tasks: tuple[bool, ...]) -> Parameters:
        """What was sent, without what is there of tasks that the scenario lacks: no update of theirs counts."""
        has, found = torch.tensor(tasks), dict(sent)
        for d in (*self.body, *self.head):
            if d.unit_axis == "task" and not all(tasks):
                found[d.name] = torch.where(has.view(-1, *[1] * (last[d.name].dim() - 1)), sent[d.name], last[d.name])
        return found

    def _moved(self, before: Held | None, sent: Parameters, last: Parameters) -> dict[str, Learned]:
        """BODY and decoders -> alpha or beta, after a step by what the last addition did to this update."""
        known, found = before.weights if before is not None else {}, dict[str, Learned]()
        for key in (BODY, *self.decoders):
            weight = known.get(key, Learned(self.settings.alpha if key == BODY else self.settings.beta))
            if weight.given:
                task = self.decoders[key][1] if key != BODY else None
                agreement = sum(
                    float(chunks.dots([_slice(sent[n], task)], value, [_slice(last[n], task)]))
                    for n, value in weight.given.items()
                )
                weight = Learned(*self.step(weight.weight, weight.velocity, agreement))
            found[key] = weight
        return found

    def _added(
        self, sent: Mapping[str, Parameters], last: Mapping[str, Parameters], tasks: Mapping[str, tuple[bool, ...]]
    ) -> dict[str, dict[str, Parameters]]:
        """scenario -> BODY and decoders -> what is added to its parameters, times its weight."""
        values = {d.name: [own[d.name] for own in sent.values()] for d in self.body}
        base = {d.name: [last[name][d.name] for name in sent] for d in self.body}
        found: dict[str, dict[str, Parameters]] = {name: {} for name in sent}
        if self.body:
            gram = chunks.gram_of([(values[name], base[name]) for name in values])
            share = coordinate(gram, self.settings.coordination, "fedhca2").coefficients
            common = {name: chunks.combine(share, values[name], base[name]) for name in values}
            for own in found.values():
                own[BODY] = common
        for d in self.head:
            mine = [
                (name, key, task)
                for name in sent
                for key, (name_, task) in self.decoders.items()
                if name_ == d.name and (task is None or tasks[name][task])
            ]
            if len({name for name, _, _ in mine}) > 1:
                heads = [_slice(sent[name][d.name], task) for name, _, task in mine]
                olds = [_slice(last[name][d.name], task) for name, _, task in mine]
                for (name, key, _), value in zip(mine, attended(heads, olds), strict=True):
                    found[name][key] = {d.name: value}
        return found

    def _mixture(self, sent: Parameters, weights: Mapping[str, Learned]) -> Parameters:
        """What was sent and what is added to it."""
        found = {d.name: _plus(sent[d.name], weights[BODY], d.name) for d in self.body}
        for d in self.head:
            parts = [
                _plus(_slice(sent[d.name], task), weights[key], d.name)
                for key, (name, task) in self.decoders.items()
                if name == d.name
            ]
            found[d.name] = torch.stack(parts) if d.unit_axis == "task" else parts[0]
        return found

    def refresh(self, state: FedHCA2State) -> Reply:
        return Reply({MODEL: state.tables} if state.tables else {})

    def welcome(self, state: FedHCA2State, scenario: str) -> tuple[FedHCA2State, Reply]:
        """The mean of what the others hold, as the paper says nothing of newcomers."""
        others = [held.parameters for name, held in sorted(state.held.items()) if name != scenario] or [state.first]
        mean = {name: chunks.mean([held[name] for held in others]) for name in state.first}
        return replace(state, held={**state.held, scenario: Held(mean)}), Reply({MODEL: mean | state.tables})

    def back(self, state: FedHCA2State, scenario: str) -> Reply | None:
        """Who was there gets what it held."""
        held = state.held.get(scenario)
        return None if held is None else Reply({MODEL: held.parameters | state.tables})


def _slice(value: Tensor, task: int | None) -> Tensor:
    return value if task is None else value[task]


def _plus(own: Tensor, weight: Learned, name: str) -> Tensor:
    """Summed in float64, rounded once."""
    if name not in weight.given:
        return own
    return torch.add(own.double(), weight.given[name].double(), alpha=weight.weight).to(own.dtype)
