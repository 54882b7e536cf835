"""One JSON line an event on stderr. Nothing that came in a request's body is ever written, and no sentence about it."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("msmtrec.serve")


def say(event: str, **fields: Any) -> None:
    """Write a line."""
    LOGGER.info(event, extra={"fields": fields})


def complain(event: str, **fields: Any) -> None:
    """Write a line that somebody should read."""
    LOGGER.error(event, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """Records as JSON. Of an error, its type and where it was raised: its text may quote a value."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": next(iter(record.getMessage().strip().splitlines()), ""),  # what follows may quote an error
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            kind, _, trace = record.exc_info
            frames = traceback.extract_tb(trace)
            line |= {"error": kind.__name__, "at": [f"{f.filename}:{f.lineno} {f.name}" for f in frames]}
        return json.dumps(line, ensure_ascii=False, default=str)


def start() -> None:
    """Everything that is logged goes to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(logging.INFO)
    logging.captureWarnings(True)
