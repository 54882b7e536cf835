"""One stream of events to several observers, of which sinks may fail without harm to the run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msmtrec.record.events import Event, Note, Observer


class Shared:
    """Hands every event to all.

    A sink that raises gets nothing more; the others hear why in a note, and the run goes on.

    Args:
        observers: what these raise ends the run.
        sinks: name -> sink.
    """

    def __init__(self, *observers: Observer, sinks: Mapping[str, Observer]) -> None:
        self._observers, self._sinks = observers, dict(sinks)

    def __call__(self, event: Event) -> None:
        for observer in self._observers:
            observer(event)
        for name in list(self._sinks):
            sink = self._sinks.get(name)
            if sink is None:  # failed at a note of this very loop
                continue
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 - a foreign package may raise anything, and none of it is the run's
                del self._sinks[name]
                self(Note(text=f"{name} gets nothing more of this run, which goes on: {_first_line(error)}"))


def _first_line(error: Exception) -> str:
    words = re.sub(r"//[^/@\s]*@", "//", str(error)).strip().splitlines()  # an address may hold a password
    return f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
