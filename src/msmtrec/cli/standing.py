"""How far a run is, from its events: rounds, time left, best validation AUC so far, bytes sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from msmtrec.logs.remote.disk import in_words
from msmtrec.record.events import (
    ContenderFinished,
    ContenderStarted,
    Event,
    Phase,
    Progress,
    Round,
    RunStarted,
)


@dataclass
class Standing:
    """One contender's, or the whole run's.

    Args:
        rounds, done: in all, and trained so far.
        before: of `done`, those of an earlier start.
        began, moved: seconds of the clock at the start and at the last round; None before.
        best: highest validation AUC of a round so far, mean over scenario × task and seeds.
        sent: bytes, up and down.
        over: whether it has ended.
    """

    rounds: int
    done: int = 0
    before: int = 0
    _: KW_ONLY
    began: float | None = None
    moved: float | None = None
    best: float | None = None
    sent: int = 0
    over: bool = False

    def left(self, now: float) -> float | None:
        """Seconds, by the mean pace of this start; None before its first round."""
        if self.began is None or self.moved is None or self.done <= self.before:
            return None
        pace = (self.moved - self.began) / (self.done - self.before)
        return max(0.0, pace * (self.rounds - self.done) - (now - self.moved))


class Course:
    """Observes a run. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.phase = ""
        self.contenders: dict[str, Standing] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.contenders = {title: Standing(rounds) for title, rounds in event.contenders.items()}
            case Phase():
                self.phase = event.phase
            case ContenderStarted():
                found = self.contenders[event.title]
                found.done = found.before = event.done
                found.began = self.clock()
            case Progress():
                found = self.contenders[event.title]
                found.done, found.moved = event.done, self.clock()
            case Round():
                found = self.contenders[event.title]
                found.sent += event.bytes_up + event.bytes_down
                means = [mean for mean in event.mean_auc().values() if mean is not None]
                if means:
                    found.best = max(found.best or 0.0, sum(means) / len(means))
            case ContenderFinished():
                self.contenders[event.title].over = True

    def running(self) -> dict[str, Standing]:
        """Contenders that train now."""
        return {title: found for title, found in self.contenders.items() if found.began is not None and not found.over}

    def whole(self) -> Standing:
        """All contenders together; the best AUC is that of the best of them."""
        every = list(self.contenders.values())
        return Standing(
            sum(one.rounds for one in every),
            sum(one.done for one in every),
            sum(one.before for one in every),
            began=min((one.began for one in every if one.began is not None), default=None),
            moved=max((one.moved for one in every if one.moved is not None), default=None),
            best=max((one.best for one in every if one.best is not None), default=None),
            sent=sum(one.sent for one in every),
        )


def time_in_words(seconds: float | None) -> str:
    """0:42, 12:05, 1:02:33; -:-- where it is not known."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def auc_in_words(value: float | None) -> str:
    """.6312, or a dash."""
    return "-" if value is None else f"{value:.4f}".removeprefix("0")


def finished_in_words(event: ContenderFinished, found: Standing, now: float) -> str:
    """The line of a column that has ended well."""
    took = "was trained before" if event.earlier or found.began is None else time_in_words(now - found.began)
    return f"{event.column}: {took}, validation AUC {auc_in_words(event.auc)}, {in_words(found.sent)} sent"
