"""What a server is told: which models, where it listens, and what it bears."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

TOKEN = "MSMTREC_RELOAD_TOKEN"
"""Environment variable; without it nobody can reload over HTTP."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond these a request is refused.

    Args:
        rows: of one request.
        size: bytes of its body.
        queue: requests of one scenario that wait to be scored.
        timeout: seconds from a request's first byte to its scores.
        batch_rows: of requests that are scored together; one request alone may have more.
        batch_wait: seconds that the first of them waits for others; 0 takes those that came while another batch was
            being scored.
        threads: batches that are scored at the same time, each on one core.
    """

    rows: int = 10_000
    size: int = 32 << 20
    queue: int = 256
    timeout: float = 5.0
    batch_rows: int = 1024
    batch_wait: float = 0.0
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One server.

    Args:
        run: directory of a finished run, or a link to one that is moved later.
        contender, seed, calibration: which models; None as in `Run.predictor`.
        graphs: where exported graphs are kept; None: in the run, `RUN/serving`.
        host, port: where it listens; port 0 is a free one.
        token: whoever gives it may reload over HTTP; empty: nobody may.
    """

    run: Path
    contender: str | None = None
    seed: int | None = None
    calibration: str | None = None
    graphs: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    token: str = field(default="", repr=False)
    limits: Limits = field(default_factory=Limits)
