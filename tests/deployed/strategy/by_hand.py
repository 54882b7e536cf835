"""What `federation.server` makes of the same uploads, called by hand, with declarations written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from deployed.strategy.two_layers import NAMES, net
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.federation import server
from msmtrec.federation.server import ServerState
from msmtrec.methods import METHODS
from msmtrec.methods.base import Answer, Method, Upload

NAMED = {"0.weight": "body", "0.bias": "shift", "2.weight": "head", "2.bias": "lift"}
"""The state_dict's names -> ours here; `own` never leaves."""


def declared(middle: Role = Role.EXPERT_SCENARIO) -> tuple[Declaration, ...]:
    return (
        Declaration("body", middle, (1, 5, 7), "kaiming", unit_axis="expert"),
        Declaration("shift", middle, (1, 7), "zeros", unit_axis="expert"),
        Declaration("head", Role.TOWER, (2, 7), "uniform", unit_axis="task"),
        Declaration("lift", Role.TOWER, (2,), "zeros", unit_axis="task"),
        Declaration("own", Role.EXPERT_PRIVATE, (2,), "zeros"),
    )


def ours(state: Mapping[str, Tensor]) -> Parameters:
    found = {NAMED[name]: state[name] for name in NAMED}
    return {**found, "body": found["body"].T.unsqueeze(0).contiguous(), "shift": found["shift"].unsqueeze(0)}


def theirs(parameters: Parameters) -> dict[str, Tensor]:
    """Those that are there."""
    back = {**parameters, "body": parameters["body"][0].T, "shift": parameters["shift"][0]}
    return {name: back[own] for name, own in NAMED.items() if own in back}


class ByHand:
    """One federation. `held` is what each scenario holds after what was done so far."""

    def __init__(self, method: str, preset: str | None = None, **options: Any) -> None:
        entry = METHODS[method]
        chosen = {**entry.defaults, **(entry.presets[preset] if preset else {}), **options}
        self.method: Method[Any] = entry.settings(**chosen).build(declared())
        self.common = {name: ours(net().state_dict())[name] for name in self.method.common_names()}
        self.state: ServerState[Any] = server.begin(self.method, self.common, {})
        self.held: dict[str, Parameters] = {name: dict(self.common) for name in NAMES}
        self.anchors: dict[str, Parameters] = {}
        self.round = 0

    def begin_round(self, scenarios: Sequence[str]) -> None:
        """Those who missed a round catch up."""
        for name in scenarios:
            self.state, reply = server.catch_up(self.method, self.state, name, self.round + 1)
            if reply is not None:
                self._load(name, reply.slots)

    def aggregate(self, trained: Mapping[str, Mapping[str, Tensor]], rows: Mapping[str, int], **more: Any) -> list[str]:
        """Who was offered something. trained: scenario -> its state_dict."""
        self.round += 1
        self.sent = {name: {key: ours(state)[key] for key in self.common} for name, state in trained.items()}
        uploads = {
            name: Upload(name, rows[name], more.get(name, (True, True)), {"model": sent}, norm=self._norm(name, sent))
            for name, sent in self.sent.items()
        }
        step = server.aggregate(self.method, self.state, uploads, [], {"model": self.common}, {}, self.round, 10)
        self.state, self.step = step.state, step
        self.diagnostics = dict(step.diagnostics)
        for name in uploads:
            self.held[name] = dict(self.sent[name]) if name in step.offers else self.held[name]
        self._owed()
        return list(step.offers)

    def settle(self, answers: Mapping[str, Answer]) -> None:
        """What the scenarios themselves mix: (1 - beta) own + beta consensus."""
        assert self.step.gathered is not None
        for name, answer in answers.items():
            for part in self.step.offers[name].parts:
                beta = torch.tensor(answer.betas[part.label])
                for key, value in part.parameters.items():
                    weight = beta.view(-1, *[1] * (value.dim() - 1)) if part.per_task else beta
                    own = self.held[name][key]
                    self.held[name][key] = torch.lerp(own, value, weight.to(own).expand_as(own))
        self.state, found = server.settle(self.method, self.state, self.step.gathered, answers)
        self.diagnostics |= found
        self._owed()

    def _owed(self) -> None:
        owed = self.state.owed
        self.state = self.state.handed_out(owed)
        for name, reply in owed.items():
            self._load(name, reply.slots)

    def _load(self, name: str, slots: Mapping[str, Parameters]) -> None:
        self.held[name] = {**self.held[name], **slots.get("model", {})}
        self.anchors[name] = slots.get("anchor", {})

    def _norm(self, name: str, sent: Parameters) -> float:
        apart = [sent[key].double() - self.held[name][key].double() for key in sent]
        squared: float = sum(float(one.square().sum()) for one in apart)
        return squared**0.5
