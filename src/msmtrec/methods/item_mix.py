"""item-mix (FedEM of Chen et al., AAAI 2026): shared embeddings are mixed with own ones, id by id, as learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from msmtrec.aggregation.simplex import nearest_on_simplex
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Policy, Role
from msmtrec.base.streams import torch_stream
from msmtrec.methods.base import Gathered, Method, Outcome, Reply, TableRows
from msmtrec.methods.fedavg import new_means
from msmtrec.methods.mixing import Mixed
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work
from msmtrec.methods.settings.item_mix import ItemMixSettings

COMMON, ADAPTER, HELD = "common", "adapter", "held"
"""Slots: e_glob, the small network, and how many rows of each table the scenario holds."""
MERGE = "merge"


class ItemMix(Method[Mixed]):
    """e = e_own + g (e_glob - e_own), g = sigmoid(MLP[e_own, e_glob - e_own]), one number for each id of shared fields.

    When e_glob comes e takes the place of e_own, which is what is measured and served; local training then sees e and
    moves e_own and the MLP, in one step of Adam (the authors take two). Before anything has come it is plain training.
    e_own is uploaded, of the ids that were used. The MLP, of widths 2d, d, d/2 (4 at least) and 1, begins alike
    everywhere and never leaves, nor does anything else of the network.

    The server makes for each scenario i an e_glob of its own: with x_i = argmin over the simplex of |x|² - 2 (p +
    similarity · s_i)ᵀ x, p the shares of rows and s_ij the cosine of two tables (none below 0), it is the mean by
    touches and x_i; an id that nobody of these has used gets the plain mean by touches. Two differences: the authors
    have no touches, so that who never saw an id counts as much as who did; and their s is of the tables' first
    principal components, of arbitrary sign, ours of the tables, each less its mean row, on the ids that both have used.

    A step computes e of all ids that the scenario has, which is what it costs.
    """

    state_type = Mixed

    def __init__(self, declarations: tuple[Declaration, ...], settings: ItemMixSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.tables = tuple(d.name for d in self.leaving())

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        return {(MODEL, Role.SHARED_EMBEDDING): Policy.COLLECT}

    def cautions(self, scenarios: int) -> Iterator[str]:
        if not self.tables:
            yield "no field is declared shared, so that there is nothing to mix; this is local training"

    # the scenario's half

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        slots: dict[str, Parameters] = {COMMON: {}, ADAPTER: {}, HELD: {}}
        for name in self.tables:
            slots[COMMON][name] = model[name]
            slots[HELD][f"{name}/rows"] = torch.tensor([len(model[name])], device=model[name].device)
            slots[ADAPTER] |= first_adapter(name, model[name])
        return slots if self.tables else {}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        if MERGE not in round.done or not self.tables:
            return (Phase(rule=round.adam),)
        rule = replace(round.adam, rates={ADAPTER: round.rate * self.settings.adapter_rate})
        return (Phase(also=(ADAPTER,), rule=rule, compose=self._seen),)

    def adapt(self, round: LocalRound) -> tuple[Phase, ...]:
        return (Phase(name=MERGE, steps=0, finish=lambda work: {MODEL: self._merged(work.slots, work)}),)

    def _seen(self, leaves: Leaves, work: Work) -> Parameters:
        return {**work.slots[MODEL], **leaves[MODEL], **self._merged(leaves, work)}

    def _merged(self, leaves: Leaves, work: Work) -> Parameters:
        """name -> e of all members, one below the other as the tables are."""
        found = {}
        for name in self.tables:
            ends = work.slots[HELD][f"{name}/rows"].cumsum(0).flatten().tolist()[:-1]
            own, common = (held[name].tensor_split(ends) for held in (leaves[MODEL], work.slots[COMMON]))
            parts = [merged(e, g, name, leaves[ADAPTER], k) for k, (e, g) in enumerate(zip(own, common, strict=True))]
            found[name] = torch.cat(parts)
        return found

    # the server's half

    def init(self, common: Parameters, rows: Mapping[str, int]) -> Mixed:
        return Mixed(dict(common))

    def aggregate(self, state: Mixed, gathered: Gathered) -> Outcome[Mixed]:
        if not self.tables:
            return Outcome(state)
        means = new_means(state.means, gathered)
        rows = torch.tensor(list(gathered.rows.values()), dtype=torch.float64)
        alike = similarities(list(gathered.tables.values()))
        weights = nearest_on_simplex(rows / rows.sum() + self.settings.similarity * alike)
        replies = {}
        for name, share in zip(gathered.scenarios, weights, strict=True):
            own = {table: self._mixture(share, table, gathered, means[table]) for table in self.tables}
            replies[name] = Reply({COMMON: own})
        own_weight = dict(zip(gathered.scenarios, weights.diagonal().tolist(), strict=True))
        return Outcome(Mixed(means, state.met | set(gathered.scenarios)), replies, {"own_weight": own_weight})

    def _mixture(self, share: Tensor, name: str, gathered: Gathered, mean: Tensor) -> Tensor:
        """sum over j of share_j c_j E_j / sum of share_j c_j, row by row; c the touches. share: [K]."""
        total = torch.zeros(mean.shape, dtype=torch.float64)
        weight = torch.zeros(len(mean), 1, dtype=torch.float64)
        for part, tables in zip(share.tolist(), gathered.tables.values(), strict=True):
            sent = tables[name]
            if part > 0:
                count = part * sent.touches.double().unsqueeze(1)
                total.index_add_(0, sent.ids.long(), count * sent.rows.double())
                weight.index_add_(0, sent.ids.long(), count)
        known = weight > 0
        return torch.where(known, total / weight.where(known, 1), mean.double()).to(mean.dtype)

    def refresh(self, state: Mixed) -> Reply:
        return Reply({COMMON: state.means} if state.means else {})

    def welcome(self, state: Mixed, scenario: str) -> tuple[Mixed, Reply]:
        """Who is new begins with the plain means by touches, as own ones too."""
        reply = Reply({**self.refresh(state).slots, **({MODEL: state.means} if state.means else {})})
        return replace(state, met=state.met | {scenario}), reply

    def back(self, state: Mixed, scenario: str) -> Reply | None:
        """Who was there goes on with the embeddings that it served, and a new MLP."""
        return self.refresh(state) if scenario in state.met else None


def first_adapter(name: str, table: Tensor) -> Parameters:
    """The MLP's weights and biases for a table [R, d], uniform within ±1/sqrt(inputs)."""
    d, stream = table.shape[1], torch_stream("item-mix", name)
    widths, found = (2 * d, max(4, d), max(4, d // 2), 1), dict[str, Tensor]()
    for n, (inputs, outputs) in enumerate(pairwise(widths)):
        for kind, shape in (("weight", (inputs, outputs)), ("bias", (outputs,))):
            drawn = torch.rand(shape, generator=stream, dtype=torch.float64) * 2 - 1
            found[f"{name}/{n}.{kind}"] = (drawn / inputs**0.5).to(table)
    return found


def merged(own: Tensor, common: Tensor, name: str, adapter: Parameters, member: int) -> Tensor:
    """[R, d] e of one member; own, common [R, d], adapter as in `first_adapter`, with the member axis in front."""
    x = torch.cat([own, common - own], 1)  # [R, 2d]
    for n in range(3):
        x = x @ adapter[f"{name}/{n}.weight"][member] + adapter[f"{name}/{n}.bias"][member]
        x = functional.relu(x) if n < 2 else x.sigmoid()  # at last [R, 1]
    return torch.lerp(own, common, x.expand_as(own))


def similarities(tables: Sequence[Mapping[str, TableRows]]) -> Tensor:
    """[K, K] float64 cosines of tables, less their mean rows, on ids that both have used; 0 below, and without any."""
    K = len(tables)
    found = torch.eye(K, dtype=torch.float64)
    centred = [{n: t.rows.double() - t.rows.double().mean(0) for n, t in own.items()} for own in tables]
    for i in range(K):
        for j in range(i):
            parts = [_overlap(tables[i][n].ids, tables[j][n].ids) for n in tables[i]]
            one, two = (
                torch.cat([centred[k][n][part[side]].flatten() for n, part in zip(tables[i], parts, strict=True)])
                for side, k in enumerate((i, j))
            )
            length = one.norm() * two.norm()
            found[i, j] = found[j, i] = max(float(one @ two / length), 0.0) if length > 0 else 0.0
    return found


def _overlap(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Where ids that are in both stand in each; both ascending."""
    place = torch.searchsorted(two, one)
    there = place < len(two)
    there &= two[place.clamp(max=max(len(two) - 1, 0))] == one if len(two) else there
    return there.nonzero().squeeze(1), place[there]
