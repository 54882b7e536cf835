"""Methods that are tables of roles: local, pooled, emb-only, FedAvg, FedAvg-all (McMahan et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, Policy, Role
from msmtrec.methods.base import Gathered, Method, Outcome, Reply
from msmtrec.methods.phases import MODEL
from msmtrec.methods.settings.fedavg import FedAvgSettings


@dataclass(frozen=True)
class Means:
    """The one set of parameters that everybody gets."""

    parameters: Parameters


class Averaging(Method[Means]):
    """The server's half of methods that average some roles of the model and are otherwise local."""

    state_type = Means

    def init(self, common: Parameters, rows: Mapping[str, int]) -> Means:
        return Means(dict(common))

    def aggregate(self, state: Means, gathered: Gathered) -> Outcome[Means]:
        new = new_means(state.parameters, gathered)
        return Outcome(Means(new), dict.fromkeys(gathered.scenarios, self.reply(new)))

    def reply(self, means: Parameters) -> Reply:
        """How the means go out."""
        return Reply({MODEL: means})

    def refresh(self, state: Means) -> Reply:
        return self.reply(state.parameters)

    def welcome(self, state: Means, scenario: str) -> tuple[Means, Reply]:
        return state, self.reply(state.parameters)

    def last(self, state: Means, scenario: str) -> Parameters:
        return state.parameters


class FedAvg(Averaging):
    """w <- sum over n of (rows_n / rows) w_n for the roles that travel; shared tables row by row, by touches."""

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedAvgSettings) -> None:
        self.declarations, self.settings, self.clip = declarations, settings, settings.clip

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        table: dict[tuple[str, Role], Policy] = {}
        if self.settings.average in ("network", "everything"):
            table |= {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD}
        if self.settings.shares_embeddings:
            table[MODEL, Role.SHARED_EMBEDDING] = Policy.AVERAGE_BY_TOUCHES
        return table


def new_means(last: Parameters, gathered: Gathered, slot: str = MODEL) -> Parameters:
    """Every summed tensor's mean; what nobody sent, had or touched stays."""
    return {**last, **{name: found.mean(last[name]) for name, found in gathered.sums.get(slot, {}).items()}}
