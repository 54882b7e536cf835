"""FedBN (Li et al., ICLR 2021): batch normalisation stays with the scenario, everything else is averaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import BODY_AND_HEAD, Policy, Role
from msmtrec.methods.base import table_policies
from msmtrec.methods.fedavg import Averaging
from msmtrec.methods.phases import MODEL
from msmtrec.methods.settings.fedbn import FedBNSettings

NORM = frozenset({Role.NORM_AFFINE, Role.NORM_STATISTICS})
"""Scale and shift, and running mean and variance: a network declares which of its tensors are these."""


class FedBN(Averaging):
    """w <- sum over n of (rows_n / rows) w_n for all roles but the norms', which never leave.

    A scenario that is new has the common first norms: scale 1, shift 0 and no moments of its rows yet.
    """

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedBNSettings) -> None:
        self.declarations, self.settings = declarations, settings

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        rest = {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD if role not in NORM}
        return rest | table_policies(self.settings)

    def cautions(self, scenarios: int) -> Iterator[str]:
        if not any(d.role in NORM for d in self.declarations):
            same = "fedavg-all" if self.settings.shares_embeddings else "fedavg"
            yield (
                "the network has no batch normalisation, and so nothing that FedBN would keep local; this is"
                f" {same} (mmoe has it with norm: batch)"
            )
