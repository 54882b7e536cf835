"""PF-MSMTrec (arXiv 2406.18938): normalise, coordinate and personalise the scenario factors, then the towers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from msmtrec.aggregation.matching import Order
from msmtrec.aggregation.personalization import mixture
from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Policy, Role
from msmtrec.methods.base import Answer, Gathered, Method, Offer, OfferPart, Outcome, Reply
from msmtrec.methods.consensus import expert_consensus, units_of
from msmtrec.methods.fedavg import new_means
from msmtrec.methods.hyper import Alphas, mean_updates, move_and_add, task_means
from msmtrec.methods.item_mix import ItemMix
from msmtrec.methods.matching import Orders
from msmtrec.methods.mixing import Mixed
from msmtrec.methods.pf_state import Held, MatchedState, PFState, order_of
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, squared_distance
from msmtrec.methods.settings.item_mix import ItemMixSettings
from msmtrec.methods.settings.pf_msmtrec import PFSettings

EXPERTS, TOWERS = "experts", "towers"
ANCHOR = "anchor"
"""The slot with the consensus that the local penalty refers to."""


class PFMSMTrec(Method[PFState]):
    """One round: federated batch normalisation, conflict coordination, personalised aggregation, towers last.

    With `alignment` scenarios' experts are matched with the last consensus before all this (`matching`).
    """

    state_type = PFState

    def __init__(self, declarations: tuple[Declaration, ...], settings: PFSettings) -> None:
        self.declarations, self.settings, self.clip = declarations, settings, settings.clip
        self.experts = tuple(d for d in declarations if d.role is Role.EXPERT_SCENARIO)
        if not self.experts:
            raise UserError(
                "pf-msmtrec coordinates experts of the role expert.scenario, and the network declares none; choose"
                " another network (msmtrec list models) or another method"
            )
        self.towers = tuple(d for d in declarations if d.role is Role.TOWER) if settings.towers else ()
        self.groups = {EXPERTS: self.experts, TOWERS: self.towers}
        self.orders = Orders(self.experts)
        shared = any(d.role is Role.SHARED_EMBEDDING for d in declarations)
        self.mixing: ItemMix | None = None
        if settings.embeddings == "mixed" and shared:
            self.mixing = ItemMix(declarations, ItemMixSettings.model_validate({}))
        if settings.alignment != "off":
            self.state_type = MatchedState

    def cautions(self, scenarios: int) -> Iterator[str]:
        if self.settings.embeddings == "mixed" and not self.mixing:
            yield "embeddings mixed has no effect: no field is declared shared"
        if self.settings.alignment != "off" and not any(self.orders.same):
            yield "alignment has no effect: the network has one expert to match"

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        table = {(MODEL, Role.EXPERT_SCENARIO): Policy.COORDINATE}
        if self.settings.towers:
            table[MODEL, Role.TOWER] = Policy.PERSONALISE
        if self.settings.shares_embeddings:
            mixed = self.settings.embeddings == "mixed"
            table[MODEL, Role.SHARED_EMBEDDING] = Policy.COLLECT if mixed else Policy.AVERAGE_BY_TOUCHES
        return table

    # the scenario's half: local steps with lambda |W_scen - consensus last received|²

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        anchor = {ANCHOR: {d.name: model[d.name] for d in self.experts}} if self.settings.penalty else {}
        return anchor | dict(self.mixing.begin(model) if self.mixing else {})

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        phases = self.mixing.local(round) if self.mixing else (Phase(rule=round.adam),)
        return tuple(replace(phase, extra=self._penalty if self.settings.penalty else None) for phase in phases)

    def adapt(self, round: LocalRound) -> tuple[Phase, ...]:
        return self.mixing.adapt(round) if self.mixing else ()

    def _penalty(self, leaves: Leaves, work: Work) -> Tensor:
        names = [d.name for d in self.experts]
        return self.settings.penalty * squared_distance(leaves[MODEL], work.slots[ANCHOR], names)

    # the server's half

    def init(self, common: Parameters, rows: Mapping[str, int]) -> PFState:
        names = [d.name for group in self.groups.values() for d in group]
        return self.state_type(dict(common), {name: common[name] for name in names})

    def last(self, state: PFState, scenario: str) -> Parameters:
        """What the scenario held after its last aggregation (at first: the common parameters)."""
        return state.held[scenario].parameters if scenario in state.held else state.first

    def aggregate(self, state: PFState, gathered: Gathered) -> Outcome[PFState]:
        s, sent = self.settings, gathered.own()
        last = {name: self.last(state, name) for name in sent}
        orders = self._matched(state, sent)
        if isinstance(state, MatchedState):
            state = replace(state, orders={**state.orders, **orders})
        found = expert_consensus(
            self.experts,
            {name: self.orders.common(own, orders[name]) for name, own in last.items()},
            {name: self.orders.common(own, orders[name]) for name, own in sent.items()},
            gathered.rows,
            normalization=s.normalization,
            c=s.coordination,
            rescale=s.rescale,
            dual=state.dual,
            updates=s.personalization == "hyper",
        )
        towers = task_means(self.towers, sent, gathered.tasks, state.consensus)
        shared, tables, told = self._tables(state, gathered)
        consensus = {**state.consensus, **found.consensus, **towers, **shared}
        state = replace(state, consensus=consensus, dual=found.dual)
        own = self._in_own_order(state, sent)
        mixed: dict[str, Parameters] = {name: {} for name in sent}
        alphas: dict[str, dict[str, Alphas]] = {name: {} for name in sent}
        parts: dict[str, list[OfferPart]] = {name: [] for name in sent}
        diagnostics = {**found.diagnostics, **told}
        if isinstance(state, MatchedState):
            diagnostics["order/experts"] = {name: list(orders[name]) for name in sent}
        for label, choice in ((EXPERTS, s.personalization), (TOWERS, s.towers)):
            part = {n: {d.name: own[n][d.name] for d in self.groups[label]} for n in sent}
            if choice == "uniform":
                for name in sent:
                    mixed[name] |= part[name]
            elif choice == "held-out":
                keep = ANCHOR if label == EXPERTS and s.penalty else None
                for name in sent:
                    parts[name].append(OfferPart(label, part[name], per_task=label == TOWERS, keep=keep))
            elif choice == "hyper":
                updates = found.updates if label == EXPERTS else mean_updates(self.towers, last, sent, gathered.tasks)
                for name, (mine, moved) in self._hyper(label, state, last, gathered, updates).items():
                    alphas[name][label] = moved
                    mixed[name] |= mine if label == EXPERTS else _zero_shot(mine, part[name], gathered.tasks[name])
                diagnostics[f"alpha/{label}"] = {name: list(alphas[name][label].alpha) for name in sent}
        held = {**state.held, **{n: Held({**last[n], **mixed[n]}, alphas[n]) for n in sent}}
        sends_anchor = s.penalty and s.personalization != "held-out"
        wait = self._towers_wait()
        replies = {}
        for name, params in mixed.items():
            now = {key: value for key, value in params.items() if key not in wait} | tables[name].model
            anchor = {ANCHOR: {d.name: own[name][d.name] for d in self.experts}} if sends_anchor else {}
            replies[name] = Reply({**tables[name].slots, MODEL: now, **anchor})
        made = {n: Offer(tuple(offered), s.beta_start, s.beta_keep, s.tolerance) for n, offered in parts.items()}
        offers = {name: offer for name, offer in made.items() if offer.parts}
        return Outcome(replace(state, held=held), replies, diagnostics, offers)

    def _tables(self, state: PFState, gathered: Gathered) -> tuple[Parameters, Mapping[str, Reply], Mapping[str, Any]]:
        """Means of the shared tables, what each scenario gets of them, and what is to be written down."""
        before = {name: state.consensus[name] for name in gathered.sums.get(MODEL, {})}
        if self.mixing:
            outcome = self.mixing.aggregate(Mixed(before), gathered)
            return outcome.state.means, outcome.replies, outcome.diagnostics
        means = new_means(before, gathered)
        return means, dict.fromkeys(gathered.rows, Reply({MODEL: means})), {}

    def _matched(self, state: PFState, sent: Mapping[str, Parameters]) -> dict[str, Order]:
        """Scenario -> the order of its experts, as `Orders` has it: those sent, matched with the last consensus."""
        if self.settings.alignment == "off":
            return dict.fromkeys(sent, ())
        return {
            name: self.orders.match(own, state.consensus, order_of(state, name), self.settings.alignment)
            for name, own in sent.items()
        }

    def _in_own_order(self, state: PFState, scenarios: Collection[str]) -> dict[str, Parameters]:
        """Scenario -> the consensus in the order of its own experts: the same tensors for all of one order."""
        experts = {d.name: state.consensus[d.name] for d in self.experts}
        orders = {name: order_of(state, name) for name in scenarios}
        known = {order: {**state.consensus, **self.orders.own(experts, order)} for order in set(orders.values())}
        return {name: known[order] for name, order in orders.items()}

    def _hyper(
        self,
        label: str,
        state: PFState,
        last: Mapping[str, Parameters],
        gathered: Gathered,
        updates: Mapping[int, Parameters],
    ) -> dict[str, tuple[Parameters, Alphas]]:
        """Scenario -> its own mixture of one family, and its new alphas."""
        group, sent = self.groups[label], gathered.own()
        sharing = [
            unit
            for unit in updates
            if (sum(has[unit] for has in gathered.tasks.values()) if label == TOWERS else len(last)) > 1
        ]  # elsewhere there is nobody to listen to
        start = Alphas.start(self.settings.alpha, len(units_of(group, next(iter(sent.values())))))
        before = {n: state.held[n].alphas.get(label, start) if n in state.held else start for n in sent}
        alike: dict[Order, list[str]] = {}
        for name in sent:
            alike.setdefault(order_of(state, name) if label == EXPERTS else (), []).append(name)
        found = dict[str, tuple[Parameters, Alphas]]()
        for order, names in alike.items():
            given = self.orders.own_units({unit: updates[unit] for unit in sharing}, order)
            own, held = ({name: params[name] for name in names} for params in (sent, last))
            found |= move_and_add(group, before, own, held, given)
        return found

    def settle(self, state: PFState, gathered: Gathered, answers: Mapping[str, Answer]) -> Outcome[PFState]:
        """Repeat the scenarios' own mixing on what they hold, unshortened: both sides then hold the same last_n."""
        held, own = dict(state.held), {name: slots[MODEL] for name, slots in gathered.whole.items()}
        consensus = self._in_own_order(state, answers)
        for name, answer in answers.items():
            mixed = dict(held[name].parameters)
            for label, betas in answer.betas.items():
                beta = torch.tensor(betas, dtype=torch.float64)
                mixed |= {d.name: mixture(own[name][d.name], consensus[name][d.name], beta) for d in self.groups[label]}
            held[name] = replace(held[name], parameters=mixed)
        diagnostics: dict[str, Any] = {}
        for label in dict.fromkeys(label for answer in answers.values() for label in answer.betas):
            diagnostics[f"beta/{label}"] = {n: list(a.betas[label]) for n, a in answers.items()}
            diagnostics[f"unchecked/{label}"] = [
                name
                for name, answer in answers.items()
                if not all(
                    checked or (label == TOWERS and not gathered.tasks[name][unit])
                    for unit, checked in enumerate(answer.checked[label])
                )
            ]
        wait = self._towers_wait()
        later = {n: Reply({MODEL: {key: held[n].parameters[key] for key in wait}}) for n in gathered.rows if wait}
        return Outcome(replace(state, held=held), later, diagnostics)

    def _towers_wait(self) -> tuple[str, ...]:
        """Towers that the server mixes but hands out last: the experts' mixture is measured below the old ones."""
        late = self.settings.personalization == "held-out" and self.settings.towers in ("uniform", "hyper")
        return tuple(d.name for d in self.towers) if late else ()

    def welcome(self, state: PFState, scenario: str) -> tuple[PFState, Reply]:
        """Consensus and tower means; `hyper` has no consensus and gives the mean of the others' parameters."""
        others = [
            self.orders.common(held.parameters, order_of(state, name))
            for name, held in sorted(state.held.items())
            if name != scenario
        ]
        personal: Parameters = {}
        for label, choice in ((EXPERTS, self.settings.personalization), (TOWERS, self.settings.towers)):
            for d in self.groups[label]:
                value = state.consensus[d.name]
                if choice == "hyper" and others:
                    value = torch.stack([params[d.name] for params in others]).double().mean(0).to(value.dtype)
                personal[d.name] = value
        # the gates of who was long away are in its own order
        personal = self.orders.own(personal, order_of(state, scenario))
        state = replace(state, held={**state.held, scenario: Held(personal)})
        reply, means = self._download(state, scenario), self._means(state) if self.mixing else {}
        return state, Reply({**reply.slots, MODEL: {**reply.model, **means}})

    def back(self, state: PFState, scenario: str) -> Reply | None:
        """Who was there gets what it held, which is personal."""
        return self._download(state, scenario) if scenario in state.held else None

    def _download(self, state: PFState, scenario: str) -> Reply:
        """What it holds, and everything else that a scenario of this method begins with."""
        tables = self.refresh(state)
        slots = {**tables.slots, MODEL: state.held[scenario].parameters | tables.model}
        if self.settings.penalty:
            consensus = self._in_own_order(state, [scenario])[scenario]
            slots[ANCHOR] = {d.name: consensus[d.name] for d in self.experts}
        return Reply(slots)

    def refresh(self, state: PFState) -> Reply:
        means = self._means(state)
        return self.mixing.refresh(Mixed(means)) if self.mixing else Reply({MODEL: means})

    def _means(self, state: PFState) -> Parameters:
        return {d.name: state.consensus[d.name] for d in self.leaving() if d.role is Role.SHARED_EMBEDDING}


def _zero_shot(towers: Parameters, means: Parameters, tasks: tuple[bool, ...]) -> Parameters:
    """A scenario that lacks a task gets the others' mean tower for it."""
    has = torch.tensor(tasks)
    return {n: torch.where(has.view(-1, *[1] * (t.dim() - 1)), t, means[n]) for n, t in towers.items()}
