"""A run's events as JSON lines: one object a line, whatever a run comes to."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TextIO

from msmtrec.record.directory import standard
from msmtrec.record.events import Event, Progress, Round


class JsonLines:
    """Writes `{"event": NAME, "time": UTC, ...}` for every event but rounds that an earlier start has told of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress) or (isinstance(event, Round) and event.replayed):
            return
        line = {"event": event.name, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **event.as_dict()}
        self._stream.write(json.dumps(standard(line), default=str, allow_nan=False) + "\n")
        self._stream.flush()
