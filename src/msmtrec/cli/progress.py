"""What a run shows while it trains: bars in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from msmtrec.cli.standing import Course, Standing, auc_in_words, finished_in_words, time_in_words
from msmtrec.logs.remote.disk import in_words
from msmtrec.record.events import (
    ContenderFinished,
    ContenderStarted,
    Event,
    Note,
    Phase,
    RunFinished,
    RunStarted,
    RunStopped,
)

ROOMY = 76
"""Columns of a terminal from which on there are bars and labels; below there are only figures."""
_BAR, _EVERY, _SHORTEST = 10, 30.0, 8


class Bars:
    """For a terminal: a line per contender that trains, and one for the run; notes and what has ended stay above."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.course = console, Course(clock)
        self._live = Live(console=console, get_renderable=self.table, transient=True, refresh_per_second=4)

    def __call__(self, event: Event) -> None:
        self.course(event)
        match event:
            case RunStarted():
                self._live.start()
            case Note():
                self.console.print(Text.assemble(("note: ", "yellow"), event.text))
            case ContenderFinished(failed=None):
                found = self.course.contenders[event.title]
                self.console.print(Text(finished_in_words(event, found, self.course.clock())))
            case RunFinished() | RunStopped():
                self._live.stop()

    def table(self) -> Table:
        """One line each, never wider than the console; long names lose their middle, which is marked."""
        width = self.console.width
        found = [(title, one, "") for title, one in self.course.running().items()]
        found.append((self.course.phase, self.course.whole(), "bold"))
        figures = [list(self._figures(one, width >= ROOMY)) for _, one, _ in found]
        widths = [max(len(line[n]) for line in figures) for n in range(len(figures[0]))]
        bar = _BAR + 1 if width >= ROOMY else 0
        room = max(_SHORTEST, width - bar - sum(widths) - len(widths))
        table = Table.grid(padding=(0, 1, 0, 0))
        for _ in range(1 + bool(bar) + len(widths)):
            table.add_column(no_wrap=True)
        for (title, one, style), line in zip(found, figures, strict=True):
            bars = [ProgressBar(max(1, one.rounds), one.done, width=_BAR)] if bar else []
            table.add_row(Text(shortened(title, room), style), *bars, *(Text(figure) for figure in line))
        return table

    def _figures(self, one: Standing, labels: bool) -> Iterator[str]:
        left, best, sent = one.left(self.course.clock()), auc_in_words(one.best), in_words(one.sent)
        yield f"{one.done}/{one.rounds}"
        yield f"left {time_in_words(left)}"
        yield f"AUC {best}"
        yield f"sent {sent}" if labels else sent


class PlainLines:
    """For a file or a pipe: whole lines without control characters.

    One per phase, note and column that has ended, and between them one about the rounds every 30 seconds at most.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.course = console, Course(clock)
        self._said = clock()

    def __call__(self, event: Event) -> None:
        self.course(event)
        now = self.course.clock()
        match event:
            case Note():
                self._say(f"note: {event.text}")
            case Phase():
                self._say(event.phase)
            case ContenderStarted() if 0 < event.done < event.rounds:
                self._say(f"{event.column}: goes on after round {event.done}")
            case ContenderFinished(failed=None):
                self._say(finished_in_words(event, self.course.contenders[event.title], now))
            case _ if now - self._said >= _EVERY and self.course.contenders:
                self._say(self._rounds(now))

    def _rounds(self, now: float) -> str:
        whole = self.course.whole()
        running = (
            f"{title} {one.done}/{one.rounds}, best validation AUC {auc_in_words(one.best)}, {in_words(one.sent)} sent"
            for title, one in self.course.running().items()
        )
        left = time_in_words(whole.left(now))
        return "; ".join([f"{whole.done} of {whole.rounds} rounds, {left} left", *running])

    def _say(self, text: str) -> None:
        self._said = self.course.clock()
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)


def shortened(name: str, width: int) -> str:
    """A name of at most `width` signs: what is left out in the middle is marked."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[len(name) - end :]}"
