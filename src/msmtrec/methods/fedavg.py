"""Reference rows that are tables of roles: local, pooled, emb-only, FedAvg, FedAvg-all (McMahan et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field

from msmtrec.aggregation.averaging import mean_by_touches
from msmtrec.aggregation.robust import clip_factors
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, Policy, Role
from msmtrec.base.settings import Settings
from msmtrec.methods.base import Method, Outcome, Reply, State, Upload, mean_of


class FedAvgSettings(Settings):
    """FedAvg and its neighbours.

    Args:
        average: `nothing` (Local, Pooled), `embeddings` (shared tables only), `network` (all but embeddings),
            `everything` (network and shared tables; private tables always stay).
        clip: shorten network updates to this multiple of the median norm; None leaves them.
    """

    average: Literal["nothing", "embeddings", "network", "everything"] = "network"
    clip: float | None = Field(None, gt=0)

    @property
    def shares_embeddings(self) -> bool:
        return self.average in ("embeddings", "everything")

    def build(self, declarations: tuple[Declaration, ...]) -> FedAvg:
        return FedAvg(declarations, self)


class FedAvg(Method):
    """w <- sum over n of (rows_n / rows) w_n for the roles that travel; shared tables row by row, by touches."""

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedAvgSettings) -> None:
        self.declarations, self.settings = declarations, settings

    def policies(self) -> Mapping[Role, Policy]:
        table: dict[Role, Policy] = {}
        if self.settings.average in ("network", "everything"):
            table |= dict.fromkeys(BODY_AND_HEAD, Policy.AVERAGE)
        if self.settings.shares_embeddings:
            table[Role.SHARED_EMBEDDING] = Policy.AVERAGE_BY_TOUCHES
        return table

    def init(self, common: Parameters) -> State:
        return State(dict(common))

    def aggregate(self, state: State, uploads: Mapping[str, Upload]) -> Outcome:
        if not self.leaving():
            return Outcome(state)
        uploads, norms = clip_updates(self, state.tensors, uploads, self.settings.clip)
        policies = self.policies()
        rows = torch.tensor([upload.rows for upload in uploads.values()], dtype=torch.float64)
        new = {}
        for d in self.leaving():
            last = state.tensors[d.name]
            if policies[d.role] is Policy.AVERAGE_BY_TOUCHES:
                new[d.name] = average_shared(d.name, last, uploads)
            else:
                new[d.name] = mean_of(d, uploads, rows, last)
        return Outcome(State(new), {name: Reply(new) for name in uploads}, {"update_norms": norms})

    def refresh(self, state: State) -> Reply:
        return Reply(state.tensors)

    def welcome(self, state: State, scenario: str) -> tuple[State, Reply]:
        return state, Reply(state.tensors)


def average_shared(name: str, last: torch.Tensor, uploads: Mapping[str, Upload]) -> torch.Tensor:
    """A shared table's new rows."""
    return mean_by_touches(
        last, [u.parameters[name] for u in uploads.values()], [u.touches[name] for u in uploads.values()]
    )


def clip_updates(
    method: Method, last: Parameters, uploads: Mapping[str, Upload], multiple: float | None
) -> tuple[Mapping[str, Upload], dict[str, float]]:
    """Norms of the network updates per scenario, and the uploads with long updates shortened where asked.

    `last` maps a parameter's name, or scenario/name, to what the scenario last held.
    """
    names = [d.name for d in method.leaving() if d.role is not Role.SHARED_EMBEDDING]

    def base(scenario: str, name: str) -> torch.Tensor:
        return last.get(f"last/{scenario}/{name}", last.get(name, torch.empty(0)))

    norms = {
        scenario: sum(
            float((upload.parameters[name].double() - base(scenario, name).double()).square().sum()) for name in names
        )
        ** 0.5
        for scenario, upload in uploads.items()
    }
    if multiple is None or not names:
        return uploads, norms
    factors = clip_factors(torch.tensor(list(norms.values()), dtype=torch.float64), multiple)
    clipped = {}
    for (scenario, upload), factor in zip(uploads.items(), factors, strict=True):
        shorter = {name: torch.lerp(base(scenario, name), upload.parameters[name], float(factor)) for name in names}
        clipped[scenario] = Upload(
            scenario, upload.rows, upload.tasks, {**upload.parameters, **shorter}, upload.touches
        )
    return clipped, norms
