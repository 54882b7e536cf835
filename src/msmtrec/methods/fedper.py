"""FedPer (Arivazhagan et al. 2019): gates and towers stay local, the rest is averaged, all of it trained at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import BODY_AND_HEAD, Policy, Role
from msmtrec.methods.base import table_policies
from msmtrec.methods.fedavg import Averaging
from msmtrec.methods.fedrep import HEAD
from msmtrec.methods.phases import MODEL
from msmtrec.methods.settings.fedper import FedPerSettings


class FedPer(Averaging):
    """w <- sum over n of (rows_n / rows) w_n for the body; the head (the paper's personalization layers) never leaves.

    FedRep averages the same parameters and trains head and body one after the other. The paper averages whatever stands
    before a cut; here the cut is by role, so a network without gates and towers is averaged whole.
    """

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedPerSettings) -> None:
        self.declarations, self.settings = declarations, settings

    def cautions(self, scenarios: int) -> Iterator[str]:
        if not self.network():
            yield "the network has nothing but gates and towers; but for shared embeddings this is local training"

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        body = {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD if role not in HEAD}
        return body | table_policies(self.settings)
