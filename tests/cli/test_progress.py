"""What a run shows: readable at 80 and 60 columns, and plain lines where there is no terminal."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from msmtrec.cli.progress import Bars, PlainLines, shortened
from msmtrec.cli.standing import Course, auc_in_words, time_in_words
from msmtrec.record.events import (
    ContenderFinished,
    ContenderStarted,
    Event,
    Note,
    Phase,
    Progress,
    Round,
    RunStarted,
    RunStopped,
    Score,
)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def run_started(**contenders: int) -> RunStarted:
    return RunStarted(run="x", folder="r", contenders=contenders, seeds=(0,), jobs=1, resumed=False, version="0")


def started(contender: str, rounds: int, done: int = 0, candidate: str = "") -> ContenderStarted:
    return ContenderStarted(
        contender=contender, candidate=candidate, rounds=rounds, done=done, seeds=(0,), settings={"method": "local"}
    )


def progress(contender: str, done: int, rounds: int, candidate: str = "") -> Progress:
    return Progress(contender=contender, candidate=candidate, done=done, rounds=rounds)


def measured(contender: str, number: int, auc: float | None, sent: int = 0, candidate: str = "") -> Round:
    return Round(
        contender=contender,
        candidate=candidate,
        stage="rounds",
        round=number,
        validation=(Score(seed=0, scenario="NL", task="click", auc=auc, log_loss=0.5),),
        bytes_up=sent,
        bytes_down=sent // 2,
        seconds=1.0,
    )


def finished(contender: str, auc: float | None = 0.6312, earlier: bool = False) -> ContenderFinished:
    failed = None if auc is not None else "diverged"
    return ContenderFinished(contender=contender, candidate="", auc=auc, failed=failed, earlier=earlier)


LONG = "learning_rate=0.0123456789,expert_layers=[512,256,128]"


def busy(console: Console) -> Bars:
    """Three contenders at work whose figures are as wide as they get."""
    clock = Clock()
    bars = Bars(console, clock)
    names = {"local": 5000, f"recommended/{LONG}": 5000, f"paper/{LONG}": 5000, "later": 5000}
    bars.course(run_started(**names))
    bars.course(Phase(phase="reading the logs"))
    for name, candidate in (("local", ""), ("recommended", LONG), ("paper", LONG)):
        bars.course(started(name, 5000, candidate=candidate))
        clock.now += 10
        bars.course(progress(name, 4321, 5000, candidate))
        bars.course(progress(name, 1, 5000, candidate))
        bars.course(measured(name, 1, 0.63124, 999_000_000, candidate))
    return bars


@pytest.mark.parametrize("width", [60, 72, 76, 80, 120])
def test_bars_fit_the_terminal_and_no_figure_is_cut(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    bars = busy(console)
    console.print(bars.table())
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 4  # nothing wraps
    assert max(cell_len(line.rstrip()) for line in lines) <= width
    labels = "sent " if width >= 76 else ""
    for line in lines[:3]:
        assert re.search(rf"  ?1/5000 +left \d+:\d\d:\d\d +AUC \.6312 +{labels}1\.5 GB *$", line), line
    assert re.search(rf"3/20000 +left \d+:\d\d:\d\d +AUC \.6312 +{labels}4\.5 GB *$", lines[3])
    assert lines[0].startswith("local ")
    assert lines[3].startswith("reading the logs " if width >= 72 else "reading")
    for line, name in zip(lines[1:3], (f"recommended/{LONG}", f"paper/{LONG}"), strict=True):
        shown = line.split()[0]
        first, mark, last = shown.partition("…")
        assert mark or shown == name  # what is left out is marked
        assert name.startswith(first)
        assert name.endswith(last)


@pytest.mark.parametrize(("width", "drawn"), [(75, 0), (76, 5)])
def test_a_bar_is_drawn_where_there_is_room(width: int, drawn: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    bars = Bars(console, Clock())
    for event in (run_started(local=10), started("local", 10), progress("local", 5, 10)):
        bars.course(event)
    console.print(bars.table())
    first = console.file.getvalue().splitlines()[0]  # type: ignore[attr-defined]
    assert first.count("━") == drawn


def test_a_terminal_has_what_ended_above_the_bars_and_is_left_in_order() -> None:
    console = Console(width=60, file=io.StringIO(), force_terminal=True, color_system=None)
    clock = Clock()
    bars = Bars(console, clock)
    for event in (
        run_started(local=2),
        Phase(phase="training"),
        started("local", 2),
        Note(text="one seed: no spread over seeds, and [red]this[/] is no markup, but a sentence of several words"),
        measured("local", 1, 0.6, 2_000_000),
        finished("local"),
        RunStopped(reason="error", text="no"),
    ):
        clock.now += 1
        bars(event)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "local: 0:03, validation AUC .6312, 3.0 MB sent" in plain
    assert "note: one seed: no spread over seeds, and [red]this[/] is no\nmarkup, but a sentence" in plain.replace(
        "\r", ""
    )
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is back


def test_nothing_is_drawn_of_a_run_that_never_began() -> None:
    console = Console(width=60, file=io.StringIO(), force_terminal=True)
    Bars(console)(RunStopped(reason="error", text="no such config"))
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def plain(events: list[tuple[float, Event]]) -> list[str]:
    """Lines after each event, at the second given."""
    clock = Clock(0.0)
    console = Console(width=20, file=io.StringIO(), force_terminal=False)
    lines = PlainLines(console, clock)
    for now, event in events:
        clock.now = now
        lines(event)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    return text.splitlines()


def test_plain_lines_come_every_half_minute_at_most_and_at_each_end() -> None:
    events: list[tuple[float, Event]] = [
        (0, run_started(local=100, fedavg=100)),
        (0, Phase(phase="training")),
        (0, started("local", 100)),
    ]
    for number in range(1, 101):
        events.append((number, progress("local", number, 100)))
        events.append((number, measured("local", number, 0.5 + 0.001 * min(number, 50), 1000)))
    events += [(100, finished("local")), (101, Note(text="a note")), (101, started("fedavg", 100, done=40))]
    assert plain(events) == [
        "training",
        "30 of 200 rounds, 2:50 left; local 30/100, best validation AUC .5290, 44 KB sent",
        "60 of 200 rounds, 2:20 left; local 60/100, best validation AUC .5500, 88 KB sent",
        "90 of 200 rounds, 1:50 left; local 90/100, best validation AUC .5500, 134 KB sent",
        "local: 1:40, validation AUC .6312, 150 KB sent",
        "note: a note",
        "fedavg: goes on after round 40",
    ]


def test_what_came_to_nothing_has_its_note_and_no_line() -> None:
    assert plain([(0, run_started(local=3)), (0, started("local", 3)), (0, finished("local", None))]) == []


def test_time_left_is_by_the_pace_of_this_start() -> None:
    clock = Clock(0.0)
    course = Course(clock)
    for event in (run_started(a=10, b=10), started("a", 10, done=4)):
        course(event)
    assert course.whole().left(0) is None
    clock.now = 6.0
    course(progress("a", 7, 10))  # three rounds in six seconds
    assert course.contenders["a"].left(6.0) == 6.0
    assert course.contenders["a"].left(8.0) == 4.0  # goes down between rounds
    assert course.contenders["a"].left(99.0) == 0.0
    assert course.whole().left(6.0) == 26.0  # thirteen rounds of two seconds
    assert course.contenders["b"].left(6.0) is None


def test_the_best_auc_and_the_bytes_are_of_all_rounds_also_earlier_ones() -> None:
    course = Course(Clock())
    course(run_started(a=5))
    course(started("a", 5, done=2))
    for number, auc in ((1, 0.6), (2, None), (3, 0.55)):
        course(replace(measured("a", number, auc, 10), replayed=number < 3))
    course(replace(measured("a+ft", 4, 0.7, 0), stage="fine-tune"))
    assert (course.contenders["a"].best, course.contenders["a"].sent) == (0.7, 45)
    assert list(course.running()) == ["a"]
    course(finished("a"))
    assert list(course.running()) == []


def test_words() -> None:
    assert [time_in_words(s) for s in (None, 0, 59.6, 3599, 3753)] == ["-:--", "0:00", "1:00", "59:59", "1:02:33"]
    assert [auc_in_words(v) for v in (None, 0.63124, 1.0)] == ["-", ".6312", "1.0000"]
    assert [shortened("abcdefgh", n) for n in (8, 7, 4)] == ["abcdefgh", "abc…fgh", "ab…h"]
