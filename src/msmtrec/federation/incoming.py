"""What becomes of the reports of a round as they come in: uploads are counted, made whole, summed and let go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Generic, TypeVar

from msmtrec.base.errors import Diverged
from msmtrec.base.member import Member
from msmtrec.federation.messages import Report
from msmtrec.federation.server import Collected, ServerState, Step
from msmtrec.federation.standing import Plan, Standing
from msmtrec.federation.traffic import Clock, Traffic
from msmtrec.methods.base import Method

S = TypeVar("S")


@dataclass(frozen=True)
class Incoming(Generic[S]):
    """Args:
    traffic, clock: of the round.
    asked: who was to train; uploads of others count nowhere.
    came: seed -> the uploads of its federation.
    """

    plan: Plan
    standing: Standing[S]
    _: KW_ONLY
    traffic: Traffic
    clock: Clock
    asked: Collection[Member]
    came: Mapping[int, Collected[S]]

    @classmethod
    def of_round(
        cls,
        plan: Plan,
        method: Method[S],
        standing: Standing[S],
        number: int,
        *,
        asked: Collection[Member],
        traffic: Traffic,
        clock: Clock,
    ) -> Incoming[S]:
        """Of all seeds, before anything has come."""
        came = {
            seed: Collected(
                method,
                state,
                expected=plan.expected,
                tables=plan.tables,
                round_number=number,
                max_staleness=plan.max_staleness,
            )
            for seed, state in standing.servers.items()
        }
        return cls(plan, standing, traffic=traffic, clock=clock, asked=frozenset(asked), came=came)

    def __call__(self, member: Member, report: Report) -> Report:
        """A report without its upload, which is taken. Where that is a difference, what was said is remembered."""
        self.clock.start()
        self.traffic.up_from(report)
        held: dict[str, Any] = self.standing.said.setdefault(member.seed, {}) if self.plan.wire.coded else {}
        report, said = self.plan.wire.received(report, held.pop(member.scenario, None))
        if said is not None:
            held[member.scenario] = said
        if report.upload is not None and member in self.asked:
            self.came[member.seed].take(report.upload)
        if report.refused is not None and member in self.asked:
            self.came[member.seed].refuse(report.refused)
        self.clock.lap("aggregate")
        return replace(report, upload=None)

    def aggregated(self, seed: int, state: ServerState[S], there: int) -> Step[S]:
        """One federation's aggregation, once all have come; there: how many have.

        Raises:
            Diverged: no scenario of it sent a usable update.
        """
        step = self.came[seed].aggregated(state)
        alone = there == 1 and self.plan.participation < 1  # the others may be well
        if step.gathered is None and not step.diagnostics["stale"] and not alone:
            raise Diverged(
                f"round {self.came[seed].round}: no scenario sent a usable update ({step.diagnostics['rejected'][0]});"
                " lower the learning rate or check that scenario's rows"
            )
        return step
