"""Methods that are tables of roles: local, pooled, emb-only, FedAvg, FedAvg-all (McMahan et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, Policy, Role
from msmtrec.base.settings import Settings
from msmtrec.methods.base import Gathered, Method, Outcome, Reply
from msmtrec.methods.phases import MODEL


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


@dataclass(frozen=True)
class Means:
    """The one set of parameters that everybody gets."""

    parameters: Parameters


class FedAvg(Method[Means]):
    """w <- sum over n of (rows_n / rows) w_n for the roles that travel; shared tables row by row, by touches."""

    state_type = Means

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedAvgSettings) -> None:
        self.declarations, self.settings, self.clip = declarations, settings, settings.clip

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        table: dict[tuple[str, Role], Policy] = {}
        if self.settings.average in ("network", "everything"):
            table |= {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD}
        if self.settings.shares_embeddings:
            table[MODEL, Role.SHARED_EMBEDDING] = Policy.AVERAGE_BY_TOUCHES
        return table

    def init(self, common: Parameters, rows: Mapping[str, int]) -> Means:
        return Means(dict(common))

    def aggregate(self, state: Means, gathered: Gathered) -> Outcome[Means]:
        new = new_means(state.parameters, gathered)
        return Outcome(Means(new), dict.fromkeys(gathered.scenarios, Reply({MODEL: new})))

    def refresh(self, state: Means) -> Reply:
        return Reply({MODEL: state.parameters})

    def welcome(self, state: Means, scenario: str) -> tuple[Means, Reply]:
        return state, Reply({MODEL: state.parameters})

    def last(self, state: Means, scenario: str) -> Parameters:
        return state.parameters


def new_means(last: Parameters, gathered: Gathered, slot: str = MODEL) -> Parameters:
    """Every summed tensor's mean; what nobody sent, had or touched stays."""
    return {**last, **{name: found.mean(last[name]) for name, found in gathered.sums.get(slot, {}).items()}}
