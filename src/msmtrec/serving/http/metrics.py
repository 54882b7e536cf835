"""What Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from msmtrec.base.version import __version__

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server, in a registry of its own. No label holds anything of a request but known scenarios."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("msmtrec_requests", "Score requests.", ["scenario", "status"], registry=registry)
        self._rows = Counter("msmtrec_rows", "Rows that were scored.", ["scenario"], registry=registry)
        self._total = Histogram(
            "msmtrec_request_seconds", "Score requests, from headers to answer.", buckets=_SECONDS, registry=registry
        )
        self._stages = Histogram(
            "msmtrec_stage_seconds",
            "The same by stage: read, encode, wait, score, write.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch_requests = Histogram(
            "msmtrec_batch_requests", "Requests scored together.", buckets=_REQUESTS, registry=registry
        )
        self._batch_rows = Histogram("msmtrec_batch_rows", "Rows scored together.", buckets=_ROWS, registry=registry)
        self._queue = Gauge("msmtrec_queue_depth", "Requests that wait.", ["scenario"], registry=registry)
        self._model = Gauge(
            "msmtrec_model_info",
            "1 for the model that answers.",
            ["run", "contender", "version", "msmtrec"],
            registry=registry,
        )
        self._reloads = Counter("msmtrec_reloads", "By result: swapped, same, failed.", ["result"], registry=registry)
        self._failed = Gauge("msmtrec_last_reload_failed", "1 after a reload that failed.", registry=registry)
        self._ready = Gauge("msmtrec_ready", "1 when requests are scored.", registry=registry)
        for result in ("swapped", "same", "failed"):
            self._reloads.labels(result)

    def request(self, scenario: str, status: int, rows: int, seconds: Mapping[str, float], total: float) -> None:
        """One score request; an unknown scenario is ''."""
        self._requests.labels(scenario, str(status)).inc()
        self._total.observe(total)
        for stage, spent in seconds.items():
            self._stages.labels(stage).observe(spent)
        if status == 200:
            self._rows.labels(scenario).inc(rows)

    def batch(self, requests: int, rows: int) -> None:
        self._batch_requests.observe(requests)
        self._batch_rows.observe(rows)

    def queue(self, scenario: str, depth: int) -> None:
        self._queue.labels(scenario).set(depth)

    def reload(self, result: str) -> None:
        self._reloads.labels(result).inc()
        self._failed.set(result == "failed")

    def model(self, identity: Mapping[str, Any]) -> None:
        """It answers from now on."""
        self._model.clear()
        self._model.labels(identity["run"], identity["contender"], identity["version"], __version__).set(1)
        self._ready.set(1)

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self.registry)
