"""Scenarios divided over the processes of one machine: this one and workers beside it, each with one thread.

Python computes in one thread at a time. The steps of small networks are short, so that a second core gains them nothing
within a process; a process has its own Python. Orders, reports and nothing else go back and forth, as over a network.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Exchange, Order, Report
from msmtrec.federation.site import Site
from msmtrec.runtime import parcels
from msmtrec.runtime.in_process import InProcess
from msmtrec.runtime.threads import threads_set


class Clients(Exchange, Protocol):
    """All scenarios of a contender, wherever they are."""

    @property
    def site(self) -> Site: ...

    @property
    def memories(self) -> Mapping[Member, Memory]:
        """Every scenario's; asked for once, it may have to come from elsewhere."""
        ...


@contextmanager
def divided(own: InProcess, shares: Sequence[Sequence[Member]], make: Callable[[], Site]) -> Iterator[Clients]:
    """Scenarios in as many processes as there are shares of them; the first share stays with this one.

    Args:
        own: has all of them before, and its share afterwards.
        make: its site anew, in another process; goes there by pickle.

    Raises:
        UserError: a process could not be begun.
    """
    if len(shares) < 2:
        yield own
        return
    with ExitStack() as ends:
        workers = [Worker(ends.enter_context(_process()), frozenset(share)) for share in shares[1:]]
        for worker in workers:  # begun all at once: each has libraries to load
            worker.say("begin", {member: own.memories.pop(member) for member in worker.members}, make)
        for worker in workers:
            worker.hear("begin")
        yield SideBySide(own, workers)


@dataclass(frozen=True)
class Worker:
    """Another process, and the members that it has."""

    talk: _Talk
    members: frozenset[Member]

    def say(self, asked: str, content: Mapping[Member, Any], make: Callable[[], Site] | None = None) -> None:
        """asked: one of `parcels.ASKED`. Raises UserError where it is gone."""
        try:
            self.talk.connection.send((asked, make))
            parcels.send(self.talk.connection, dict(content))
        except OSError:
            raise UserError(self._gone()) from None

    def hear(self, asked: str) -> Any:
        """Its answer.

        Raises:
            UserError: it is gone, or the user can repair what it met.
            RuntimeError: it failed.
        """
        try:
            kind, text, told = self.talk.connection.recv()
            content = parcels.receive(self.talk.connection, parcels.ANSWERED[asked])
        except (EOFError, OSError):
            raise UserError(self._gone()) from None
        for sentence in told:
            warnings.warn(sentence, stacklevel=2)
        if kind == "user error":
            raise UserError(text)
        if kind == "error":
            raise RuntimeError(f"the process that has {len(self.members)} of the scenarios failed:\n{text}")
        return content

    def _gone(self) -> str:
        code = self.talk.process.wait()
        return (
            f"a process that trains {len(self.members)} of the scenarios ended with exit code {code} (out of memory?);"
            " continue with --resume, or with train.threads: 1"
        )


@dataclass
class SideBySide:
    """Implements `Clients`: an exchange takes as long as the slowest share.

    Args:
        own: the members of this process.
    """

    own: InProcess
    workers: Sequence[Worker]

    @property
    def site(self) -> Site:
        return self.own.site

    @property
    def memories(self) -> Mapping[Member, Memory]:
        """Fetched from all of them."""
        for worker in self.workers:
            worker.say("memories", {})
        found = dict(self.own.memories)
        for worker in self.workers:
            found |= worker.hear("memories")
        return found

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        asked = [worker for worker in self.workers if not worker.members.isdisjoint(orders)]
        for worker in asked:
            worker.say("orders", {member: order for member, order in orders.items() if member in worker.members})
        with threads_set(1):
            mine = {member: order for member, order in orders.items() if member in self.own.memories}
            shares = [dict(self.own(mine))]
        shares += [worker.hear("orders") for worker in asked]
        return _joined(orders, shares).items()


def _joined(orders: Mapping[Member, Order], shares: Sequence[Mapping[Member, Report]]) -> dict[Member, Report]:
    """In the order of the orders; a phase took as long as it did where it took longest, not all of them together."""
    spent: dict[str, list[float]] = {}
    for share in shares:
        own: dict[str, float] = {}
        for report in share.values():
            for phase, seconds in report.seconds.items():
                own[phase] = own.get(phase, 0.0) + seconds
        for phase, seconds in own.items():
            spent.setdefault(phase, []).append(seconds)
    part = {phase: max(each) / sum(each) if sum(each) else 1.0 for phase, each in spent.items()}
    found = {member: report for share in shares for member, report in share.items()}
    timed = {
        member: replace(report, seconds={phase: s * part[phase] for phase, s in report.seconds.items()})
        for member, report in found.items()
    }
    return {member: timed[member] for member in orders if member in timed}


@dataclass(frozen=True)
class _Talk:
    process: subprocess.Popen[bytes]
    connection: Connection


@contextmanager
def _process() -> Iterator[_Talk]:
    """A worker that hears us; it ends when this is left.

    Not by `multiprocessing`: that reads the caller's script again, which would then need a guard.
    """
    here, there = socket.socketpair()
    with there:
        command = [sys.executable, "-P", "-m", "msmtrec.runtime.worker", str(there.fileno())]
        places = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)  # what goes there is imported as here
        environment = {**os.environ, "PYTHONPATH": places}
        process = subprocess.Popen(  # of a session of its own: Ctrl-C is for this process, which ends it
            command, pass_fds=[there.fileno()], env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        with Connection(here.detach()) as connection:
            yield _Talk(process, connection)
    finally:
        process.terminate()
        process.wait()
