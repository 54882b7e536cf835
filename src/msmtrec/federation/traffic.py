"""What an exchange costs: bytes per role, seconds per phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any

from msmtrec.base.member import Member
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.narrow import PLAIN, Wire
from msmtrec.federation.server import ServerState
from msmtrec.methods.base import Method, Reply
from msmtrec.methods.phases import MODEL


class Traffic:
    """Bytes per role, all scenarios together; slots other than the model go by their own name."""

    def __init__(self, method: Method[Any], wire: Wire = PLAIN) -> None:
        self._wire = wire
        self._roles = {d.name: str(d.role) for d in method.declarations}
        self.up: dict[str, int] = {}
        self.down: dict[str, int] = {}

    def add(self, sent: Mapping[str, tuple[int, int]]) -> None:
        """role -> bytes up and down that were no messages of a round."""
        for role, (up, down) in sent.items():
            self.up[role] = self.up.get(role, 0) + up
            self.down[role] = self.down.get(role, 0) + down

    def owed(self, before: ServerState[Any], after: ServerState[Any]) -> None:
        """Replies that a step of the server has added."""
        self.replies(reply for name, reply in after.owed.items() if before.owed.get(name) is not reply)

    def replies(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            for slot, tensors in reply.slots.items():
                for name, value in tensors.items():
                    self._add(self.down, slot, name, self._wire.size(value))

    def offers(self, orders: Mapping[Member, Order]) -> None:
        for order in orders.values():
            for part in order.offer.parts if order.offer is not None else ():
                for name, value in part.parameters.items():
                    self._add(self.down, MODEL, name, self._wire.size(value))

    def up_from(self, report: Report) -> None:
        if report.upload is not None:
            for slot, tensors in report.upload.slots.items():
                for name, value in tensors.items():
                    self._add(self.up, slot, name, value.nbytes)
            for slot, changes in report.upload.changes.items():
                for name, change in changes.items():
                    self._add(self.up, slot, name, sum(part.nbytes for part in change.parts))
            for name, rows in report.upload.tables.items():
                self._add(self.up, MODEL, name, rows.rows.nbytes)
                self._add(self.up, MODEL, "touch counts", rows.ids.nbytes + rows.touches.nbytes)
        if report.answer is not None:
            numbers = 3 * sum(len(betas) for betas in report.answer.betas.values())  # beta and two losses
            self.up["mixtures"] = self.up.get("mixtures", 0) + 8 * numbers

    def _add(self, table: dict[str, int], slot: str, name: str, size: int) -> None:
        role = self._roles.get(name, name) if slot == MODEL else slot
        if size:
            table[role] = table.get(role, 0) + size


class Clock:
    """Wall seconds per phase of a round."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def start(self) -> None:
        """Of the server's own work; scenarios time theirs."""
        self._last = perf_counter()

    def lap(self, phase: str) -> None:
        """Since the last start or lap."""
        now = perf_counter()
        self.add({phase: now - self._last})
        self._last = now

    def add(self, seconds: Mapping[str, float]) -> None:
        for phase, spent in seconds.items():
            self.seconds[phase] = round(self.seconds.get(phase, 0.0) + spent, 6)


class Stopwatch:
    """Seconds per phase, shared out evenly over the members that took part in it."""

    def __init__(self) -> None:
        self.shares: dict[Member, dict[str, float]] = {}
        self._last = perf_counter()

    def lap(self, phase: str, members: list[Member]) -> None:
        now = perf_counter()
        for member in members:
            mine = self.shares.setdefault(member, {})
            mine[phase] = mine.get(phase, 0.0) + (now - self._last) / len(members)
        self._last = now
