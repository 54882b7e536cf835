"""When a contender's rounds end, whichever revision of the library trains."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

from msmtrec.record.events import ContenderStarted, Event, Progress


@dataclass
class Clock:
    """Seconds at the start of a contender and after each of its rounds, whatever the library writes down; the CPU's,
    or the wall's.
    """

    wall: bool = False
    at: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ContenderStarted | Progress):
            self.at.append(time.perf_counter() if self.wall else time.process_time())

    @property
    def rounds(self) -> list[float]:
        return [after - before for before, after in itertools.pairwise(self.at)]
