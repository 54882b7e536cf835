"""All scenarios on this machine: their memories, and the exchange that reaches them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msmtrec.base.member import Member
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.scenario import scenario_steps
from msmtrec.federation.site import Site


@dataclass
class InProcess:
    """Implements `messages.Exchange`.

    Args:
        memories: every scenario's, as far as the run has come.
    """

    site: Site
    memories: dict[Member, Memory]

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        new, reports = scenario_steps(self.site, orders, self.memories)
        self.memories |= new
        return reports.items()
