"""The one exchange of a federation: an order goes to a scenario, a report comes back. Tensors and plain values only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, Protocol

from msmtrec.base.member import Member
from msmtrec.evaluation.metrics import Measure
from msmtrec.methods.base import Answer, Offer, Reply, Upload

Stage = Literal["rounds", "fine-tune"]


@dataclass(frozen=True)
class Order:
    """What a scenario is asked to do, in this sequence; what is None or False is left out.

    Args:
        round: the number of the round that the local training belongs to; a reply is the result of the one before.
        restart: begin again from the best round, with fresh moments.
        reply: parameters to put in place.
        measure: validation metrics after that; the round they belong to, which competes for the best.
        refresh: parameters to put in place after the measurement, where the scenario missed rounds before this one.
        train: local steps, and an upload of what the method lets leave (none while fine-tuning).
        whole: that upload is no difference to the last one: the server does not have that.
        measure_trained: validation metrics after those; while fine-tuning they compete for the best as well.
        offer: mixtures to measure on held-out rows, the best of which is kept.
    """

    round: int
    restart: bool = False
    reply: Reply | None = None
    measure: int | None = None
    _: KW_ONLY
    refresh: Reply | None = None
    train: Stage | None = None
    whole: bool = True
    measure_trained: bool = False
    offer: Offer | None = None


@dataclass(frozen=True)
class Report:
    """What a scenario answers.

    Args:
        measured: as the order asked with `measure`.
        trained: as the order asked with `measure_trained`.
        upload: what leaves; None where nothing does, or where it was refused.
        refused: why the scenario holds its own upload back: it has numbers that are none. It is then back where it was.
        answer: to the offer.
        best: scenario -> (round, mean validation AUC) of its best round so far.
        seconds: phase -> this scenario's share of the time it took.
    """

    measured: tuple[Measure, ...] = ()
    trained: tuple[Measure, ...] = ()
    upload: Upload | None = None
    refused: str | None = None
    _: KW_ONLY
    answer: Answer | None = None
    best: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


class Exchange(Protocol):
    """How a runtime reaches the scenarios: what they report, one after the other, those of a seed in table order.

    Whoever does not answer is not among them. Nothing of a report need be kept for longer than the next one takes.
    """

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]: ...


def reports_of(
    exchange: Exchange,
    orders: Mapping[Member, Order],
    read: Callable[[Member, Report], Report] = lambda _, report: report,
) -> dict[Member, Report]:
    """All reports, in the order of the orders. read: takes each as it comes, and gives what is kept of it."""
    found = dict[Member, Report]()
    for member, report in exchange(orders):
        report = found[member] = read(member, report)  # an upload is gone before the next one comes
    return {member: found[member] for member in orders if member in found}
