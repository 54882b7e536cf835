"""PF-MSMTrec (arXiv 2406.18938): normalise, coordinate and personalise the scenario factors, then the towers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from msmtrec.aggregation.conflict import Rescale
from msmtrec.aggregation.personalization import HyperStep, mixture
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Policy, Role
from msmtrec.base.settings import Settings
from msmtrec.methods.base import Answer, Method, Offer, OfferPart, Outcome, Reply, State, Upload, mean_of
from msmtrec.methods.consensus import expert_consensus, split_units, stack_units
from msmtrec.methods.fedavg import average_shared, clip_updates

Personalisation = Literal["hyper", "held-out", "uniform"]
EXPERTS, TOWERS = "experts", "towers"


class PFSettings(Settings):
    """Modules of PF-MSMTrec; the defaults are the `recommended` preset.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; the server then sees which ids moved.
        normalization: federated batch normalisation: moments per `tensor` or per output `channel`, `literal`, `off`.
        coordination: c of the conflict problem; None leaves the plain mean.
        rescale: length of the coordinated update.
        personalization: `hyper` (paper, FedHCA2), `held-out` (second exchange, ours), `uniform` (consensus for all).
        towers: the same choices for the task towers, over plain means; None keeps towers local.
        penalty: lambda of |W_scen - consensus last received|² in the local loss.
        beta_start: held-out: remembered beta before the first round; None takes the first measurement as it is.
        beta_keep: held-out: how much of the remembered beta stays each round.
        tolerance: held-out: standard errors by which a mixture may be worse than the best and still count as equal; the
            largest such beta is taken. 0 takes the minimum.
        alpha: hyper: first alpha of every scenario and expert.
        clip: shorten updates to this multiple of the median norm; None leaves them.
    """

    embeddings: Literal["local", "shared"] = "shared"
    normalization: Literal["off", "tensor", "channel", "literal"] = "off"
    coordination: float | None = Field(0.4, ge=0)
    rescale: Rescale = "identity"
    personalization: Personalisation = "held-out"
    towers: Personalisation | None = "held-out"
    penalty: float = Field(0.0, ge=0)
    beta_start: float | None = Field(1.0, ge=0, le=1)
    beta_keep: float = Field(0.7, ge=0, le=1)
    tolerance: float = Field(2.0, ge=0)
    alpha: float = Field(0.1, ge=0, le=1)
    clip: float | None = Field(None, gt=0)

    @property
    def shares_embeddings(self) -> bool:
        return self.embeddings == "shared"

    def cautions(self) -> Iterator[str]:
        if self.coordination == 0:
            yield "coordination 0 is plain averaging; null says so"
        if self.normalization == "literal":
            yield "normalization literal averages to zero and wipes the experts; it is for ablations"
        if self.normalization in ("tensor", "channel") and self.personalization == "hyper" and not self.penalty:
            yield "normalization reaches nobody: in hyper only the penalty refers to the consensus; set penalty above 0"
        if "held-out" in (self.personalization, self.towers) and self.beta_keep == 1 and self.beta_start is not None:
            yield f"beta_keep 1 keeps the mixture at beta_start {self.beta_start:g} or at 0, whatever is measured"

    def build(self, declarations: tuple[Declaration, ...]) -> PFMSMTrec:
        return PFMSMTrec(declarations, self)


PAPER = {
    "embeddings": "local",
    "normalization": "tensor",
    "coordination": 0.4,
    "personalization": "hyper",
    "towers": "hyper",
    "penalty": 1e-3,
}


class PFMSMTrec(Method):
    """One round: federated batch normalisation, conflict coordination, personalised aggregation, towers last.

    State: `last/<scenario>/<name>` what each scenario holds after aggregation; `consensus/<name>`; `common/<unit>` the
    last U of an expert or tower (hyper); alphas and velocities per scenario and unit.
    """

    def __init__(self, declarations: tuple[Declaration, ...], settings: PFSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.experts = tuple(d for d in declarations if d.role is Role.EXPERT_SCENARIO)
        self.towers = tuple(d for d in declarations if d.role is Role.TOWER)
        self.penalties = {Role.EXPERT_SCENARIO: settings.penalty} if settings.penalty else {}

    def policies(self) -> Mapping[Role, Policy]:
        table = {Role.EXPERT_SCENARIO: Policy.COORDINATE}
        if self.settings.towers:
            table[Role.TOWER] = Policy.PERSONALISE
        if self.settings.shares_embeddings:
            table[Role.SHARED_EMBEDDING] = Policy.AVERAGE_BY_TOUCHES
        return table

    def init(self, common: Parameters) -> State:
        tensors = {f"consensus/{d.name}": common[d.name] for d in self.leaving()}
        tensors |= {f"first/{d.name}": common[d.name] for d in (*self.experts, *self.towers) if d.name in common}
        return State(tensors, {"alpha": {}, "velocity": {}, "rounds": 0, "received": {}})

    def last(self, state: State, scenario: str) -> Parameters:
        """What the scenario held after its last aggregation (at first: the common parameters)."""
        return {
            d.name: state.tensors.get(f"last/{scenario}/{d.name}", state.tensors[f"first/{d.name}"])
            for d in (*self.experts, *self.towers)
            if f"first/{d.name}" in state.tensors
        }

    def aggregate(self, state: State, uploads: Mapping[str, Upload]) -> Outcome:
        held = {name: self.last(state, name) for name in uploads}
        bases = {f"last/{n}/{key}": value for n, params in held.items() for key, value in params.items()}
        uploads, norms = clip_updates(self, bases, uploads, self.settings.clip)
        s = self.settings
        found = expert_consensus(self.experts, held, uploads, s.normalization, s.coordination, s.rescale)
        consensus = found.consensus | self._tower_means(state, uploads)
        shared = {
            d.name: average_shared(d.name, state.tensors[f"consensus/{d.name}"], uploads)
            for d in self.leaving()
            if d.role is Role.SHARED_EMBEDDING
        }
        tensors = dict(state.tensors) | {f"consensus/{n}": v for n, v in (consensus | shared).items()}
        values: dict[str, Any] = {kind: dict(state.values[kind]) for kind in ("alpha", "velocity", "received")}
        values["rounds"] = state.values["rounds"] + 1
        values["received"] |= dict.fromkeys(uploads, values["rounds"])
        diagnostics: dict[str, Any] = {"update_norms": norms, **found.diagnostics}
        mixed: dict[str, Parameters] = {name: {} for name in uploads}
        parts = []
        for label, group, choice in (
            (EXPERTS, self.experts, s.personalization),
            (TOWERS, self.towers, s.towers),
        ):
            if choice == "uniform":
                for name in uploads:
                    mixed[name] |= {d.name: consensus[d.name] for d in group}
            elif choice == "held-out":
                part = {d.name: consensus[d.name] for d in group}
                parts.append(OfferPart(label, part, per_task=label == TOWERS))
            elif choice == "hyper":
                common = found.updates if label == EXPERTS else self._mean_updates(held, uploads)
                for name in uploads:
                    mixed[name] |= self._hyper(name, label, group, state, tensors, values, held[name], uploads, common)
                if label == TOWERS:
                    self._zero_shot(mixed, uploads, consensus)
                tensors |= {f"common/{label}/{unit}": update for unit, update in common.items()}
                diagnostics[f"alpha/{label}"] = {n: values["alpha"].get(f"{n}/{label}", []) for n in uploads}
        anchors = {d.name: consensus[d.name] for d in self.experts} if self.penalties else {}
        wait = self._towers_wait()
        now = {n: {k: v for k, v in params.items() if k not in wait} for n, params in mixed.items()}
        replies = {name: Reply(now[name] | shared, anchors) for name in uploads}
        for name, params in mixed.items():
            tensors |= {f"last/{name}/{key}": value for key, value in params.items()}
        offer = Offer(tuple(parts), s.beta_start, s.beta_keep, s.tolerance)
        offers = dict.fromkeys(uploads, offer) if parts else {}
        return Outcome(State(tensors, values), replies, diagnostics, offers)

    def settle(self, state: State, uploads: Mapping[str, Upload], answers: Mapping[str, Answer]) -> Outcome:
        """Repeat the scenarios' own mixing on the uploads: both sides then hold the same last_n, byte for byte."""
        tensors, diagnostics = dict(state.tensors), dict[str, Any]()
        groups = {EXPERTS: self.experts, TOWERS: self.towers}
        for name, answer in answers.items():
            for label, betas in answer.betas.items():
                beta = torch.tensor(betas, dtype=torch.float64)
                for d in groups[label]:
                    own, consensus = uploads[name].parameters[d.name], tensors[f"consensus/{d.name}"]
                    tensors[f"last/{name}/{d.name}"] = mixture(own, consensus, beta)
        for label in dict.fromkeys(label for answer in answers.values() for label in answer.betas):
            diagnostics[f"beta/{label}"] = {n: list(a.betas[label]) for n, a in answers.items()}
            diagnostics[f"unchecked/{label}"] = [
                name
                for name, answer in answers.items()
                if not all(
                    checked or (label == TOWERS and not uploads[name].tasks[unit])
                    for unit, checked in enumerate(answer.checked[label])
                )
            ]
        later = {n: Reply({key: tensors[f"last/{n}/{key}"] for key in self._towers_wait()}) for n in answers}
        replies = {name: reply for name, reply in later.items() if reply.parameters}
        return Outcome(State(tensors, state.values), replies, diagnostics)

    def _towers_wait(self) -> tuple[str, ...]:
        """Towers that the server mixes but hands out last: the experts' mixture is measured below the old ones."""
        late = self.settings.personalization == "held-out" and self.settings.towers in ("uniform", "hyper")
        return tuple(d.name for d in self.towers) if late else ()

    def welcome(self, state: State, scenario: str) -> tuple[State, Reply]:
        """Consensus and tower means; `hyper` has no consensus and gives the mean of the others' parameters."""
        tensors = dict(state.tensors)
        reply = {}
        for d in self.leaving():
            value = tensors[f"consensus/{d.name}"]
            others = [
                t
                for key, t in sorted(tensors.items())
                if key.startswith("last/") and key.endswith(f"/{d.name}") and key != f"last/{scenario}/{d.name}"
            ]
            hyper = self.settings.personalization if d.role is Role.EXPERT_SCENARIO else self.settings.towers
            if d.role is not Role.SHARED_EMBEDDING and hyper == "hyper" and others:
                value = torch.stack(others).double().mean(0).to(value.dtype)
            reply[d.name] = value
            if d.role is not Role.SHARED_EMBEDDING:
                tensors[f"last/{scenario}/{d.name}"] = value
        anchors = {d.name: tensors[f"consensus/{d.name}"] for d in self.experts} if self.penalties else {}
        return State(tensors, state.values), Reply(reply, anchors)

    def refresh(self, state: State) -> Reply:
        shared = (d.name for d in self.leaving() if d.role is Role.SHARED_EMBEDDING)
        return Reply({name: state.tensors[f"consensus/{name}"] for name in shared})

    def _tower_means(self, state: State, uploads: Mapping[str, Upload]) -> Parameters:
        if not self.settings.towers:
            return {}
        alike = torch.ones(len(uploads), dtype=torch.float64)
        return {d.name: mean_of(d, uploads, alike, state.tensors[f"consensus/{d.name}"]) for d in self.towers}

    def _mean_updates(self, held: Mapping[str, Parameters], uploads: Mapping[str, Upload]) -> dict[int, Tensor]:
        """Task -> mean tower update over the scenarios that have the task (steps 1 and 2 are off for towers)."""
        updates = {}
        for task in range(len(next(iter(uploads.values())).tasks)):
            having = [name for name, upload in uploads.items() if upload.tasks[task]]
            if having:
                rows = [
                    stack_units(self.towers, uploads[name].parameters, task)
                    - stack_units(self.towers, held[name], task)
                    for name in having
                ]
                updates[task] = torch.stack(rows).mean(0)
        return updates

    def _zero_shot(self, mixed: Mapping[str, Parameters], uploads: Mapping[str, Upload], consensus: Parameters) -> None:
        """A scenario that lacks a task gets the others' mean tower for it."""
        for name, upload in uploads.items():
            lacks = ~torch.tensor(upload.tasks)
            for d in self.towers:
                mixed[name][d.name][lacks] = consensus[d.name][lacks]

    def _hyper(
        self,
        scenario: str,
        label: str,
        group: tuple[Declaration, ...],
        state: State,
        tensors: Mapping[str, Tensor],
        values: dict[str, Any],
        held: Parameters,
        uploads: Mapping[str, Upload],
        common: Mapping[int, Tensor],
    ) -> Parameters:
        """W_n <- last_n + dW_n + alpha_n,j U_j; alpha moves first, by what the last U did to this update."""
        units = len(held[group[0].name])
        key = f"{scenario}/{label}"
        alpha = list(values["alpha"].get(key, [self.settings.alpha] * units))
        velocity = list(values["velocity"].get(key, [0.0] * units))
        upload, step, vectors = uploads[scenario], HyperStep(), []
        up_to_date = state.values["received"].get(scenario) == state.values["rounds"]  # it holds the last U
        for unit in range(units):
            own = stack_units(group, upload.parameters, unit)
            previous = state.tensors.get(f"common/{label}/{unit}")
            if previous is not None and up_to_date:
                update = own - stack_units(group, held, unit)
                alpha[unit], velocity[unit] = step(alpha[unit], velocity[unit], update, previous)
            sharing = sum(u.tasks[unit] for u in uploads.values()) if label == TOWERS else len(uploads)
            lone = sharing < 2  # nobody to listen to
            vectors.append(own if lone else own + alpha[unit] * common[unit])
        values["alpha"][key], values["velocity"][key] = alpha, velocity
        return split_units(group, vectors, upload.parameters)
