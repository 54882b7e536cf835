"""FedRep (Collins et al., ICML 2021): gates and towers stay local and are trained first, then the rest, averaged."""

from __future__ import annotations

from collections.abc import Mapping

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import BODY_AND_HEAD, TABLES, Policy, Role
from msmtrec.methods.base import table_policies
from msmtrec.methods.fedavg import Averaging
from msmtrec.methods.phases import MODEL, LocalRound, Phase
from msmtrec.methods.settings.fedrep import FedRepSettings

HEAD = frozenset({Role.GATE, Role.TOWER})


class FedRep(Averaging):
    """Head steps with the body frozen, then body steps with the head frozen; the body is averaged by rows."""

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedRepSettings) -> None:
        self.declarations, self.settings = declarations, settings

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        body = {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD if role not in HEAD}
        return body | table_policies(self.settings)

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        body = frozenset({*BODY_AND_HEAD, Role.EXPERT_PRIVATE, *TABLES} - HEAD)
        return (
            Phase(name="head", roles=HEAD, rule=round.adam),
            Phase(name="body", roles=body, rule=round.adam, passes=self.settings.body_passes),
        )
