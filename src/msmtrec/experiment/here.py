"""All scenarios of a contender on this machine, each before its first round or as a checkpoint has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.config.contender import Contender
from msmtrec.experiment.boosted import boosted_trees
from msmtrec.experiment.keeping import save_models
from msmtrec.experiment.scenarios import Ground
from msmtrec.experiment.sites import common_parameters, first_parameters
from msmtrec.federation import checkpoint as checkpoints
from msmtrec.federation.checkpoint import Checkpoint
from msmtrec.federation.memory import Shipment
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.site import Site
from msmtrec.federation.standing import Standing
from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.record.directory import VALIDATION, write_json
from msmtrec.runtime.in_process import InProcess
from msmtrec.runtime.side_by_side import Clients


@dataclass(frozen=True)
class Here:
    """Implements `Scenarios`."""

    contender: Contender
    clients: Clients

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        return self.clients(orders)

    def checkpoint(self, folder: Path, standing: Standing[Any], lengths: Mapping[str, int]) -> None:
        checkpoints.save(folder, Checkpoint(standing, self.clients.memories, lengths))

    def keep(self, column: str, members: Sequence[Member], folder: Path) -> None:
        write_json(folder / VALIDATION, save_models(self.contender, column, self.clients, members, folder))


def begun(
    contender: Contender, site: Site, seeds: tuple[int, ...], first: Mapping[Member, Parameters] | None = None
) -> InProcess:
    """Every scenario of a site before its first round.

    first: what they begin with; drawn, or grown, unless said.
    """
    if first is None:
        first = _first(contender, site, seeds)
    if isinstance(contender.settings, GBMSettings):
        site = replace(site, stack="off")  # trees of two members have no shape in common
    ship = Shipment(site.deck.device)
    return InProcess(site, {member: site.begin(member, own, ship) for member, own in first.items()})


def _first(contender: Contender, site: Site, seeds: tuple[int, ...]) -> Mapping[Member, Parameters]:
    if isinstance(contender.settings, GBMSettings):
        return boosted_trees(contender.settings, site.data, seeds, site.deck.dtype)
    return first_parameters(contender, site.model, site.data, common_parameters(contender, site.model, seeds))


def ground_of(contender: Contender, site: Site) -> Ground:
    """What a server would know of it. Statistics of pooled rows are in one place, and nothing of them is sent."""
    sent = (0, 0) if site.statistics is None or contender.entry.pooled else site.statistics.sent
    rows = {name: site.deck.counted[name] for name in site.data.scenarios}
    return Ground(site.method, site.model, rows, sent)
