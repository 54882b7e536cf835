"""Local fine-tuning after the last round: every scenario by itself, stopped early on its own validation rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msmtrec.base.member import Member
from msmtrec.federation.messages import Exchange, Order, reports_of
from msmtrec.federation.rounds import Journal
from msmtrec.federation.traffic import Clock


@dataclass(frozen=True)
class FineTuning:
    """At most `rounds` times the local steps; a scenario stops after `patience` without a better validation AUC."""

    rounds: int
    patience: int


def fine_tune(
    exchange: Exchange,
    members: list[Member],
    settings: FineTuning,
    last_round: int,
    journal: Journal,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Start from every scenario's best round with fresh moments; the best so far stays if nothing beats it."""
    active = list(members)
    for number in range(last_round + 1, last_round + settings.rounds + 1):
        if active:
            first = number == last_round + 1
            order = Order(number, restart=first, train="fine-tune", measure_trained=True)
            reports = reports_of(exchange, dict.fromkeys(active, order))
            clock = Clock()
            for report in reports.values():
                clock.add(report.seconds)
            journal.metrics(number, "fine-tune", "validation", {m: r.trained for m, r in reports.items()})
            nothing: dict[str, int] = {}
            journal.round(
                {
                    "round": number,
                    "bytes_up": nothing,
                    "bytes_down": nothing,
                    "seconds": clock.seconds,
                    "took_part": {},
                    "diagnostics": {},
                }
            )
            best = {m: max(found for found, _ in report.best.values()) for m, report in reports.items()}
            active = [m for m in active if number - max(best[m], last_round) < settings.patience]
        progress(number)
