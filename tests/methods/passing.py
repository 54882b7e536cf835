"""What goes between a federation's server and its scenarios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from methods.federation import Federation
from msmtrec.base.member import Member
from msmtrec.federation.messages import Order, Report


def what_passes(found: Federation) -> set[str]:
    """Run it; names of all tensors that go either way."""
    passed: set[str] = set()

    def listen(orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        reports = dict(found.runtime(orders))
        for order in orders.values():
            for reply in (order.reply, order.refresh):
                passed.update(*(reply.slots.values() if reply is not None else ()))
            for part in order.offer.parts if order.offer is not None else ():
                passed.update(part.parameters)
        for report in reports.values():
            if report.upload is not None:
                passed.update(report.upload.tables, *report.upload.slots.values())
        return reports.items()

    found.run(listen)
    return passed
