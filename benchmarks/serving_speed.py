"""Latency and throughput of `msmtrec serve` on KuaiRand rows, client and server on the same machine.

    python benchmarks/serving_speed.py [RUN] [--seconds 3] [--repeats 3] [--batching]

Starts the server on a free port of the loopback, sends rows of the first scenario over kept connections, and prints a
Markdown table: of every case the median over the repeats of p50, p99 and requests and rows a second, and the CPU time
of the server for one request, which other work on the machine disturbs least. Bodies are made beforehand, and answers
are read but not parsed. `--batching` compares batches of one with larger ones instead.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import pyarrow as pa

from msmtrec.logs.sources.kuairand import KuaiRand
from msmtrec.serving.finished import Run

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
BODIES = 50
"""Different bodies of a case, sent in turn."""


@contextmanager
def server(run: Path, *options: str) -> Iterator[str]:
    """Host and port of a server that is ready."""
    command = [sys.executable, "-m", "msmtrec", "serve", str(run), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    place = None
    assert process.stderr is not None
    try:
        for line in process.stderr:
            event = json.loads(line)
            place = urlsplit(event["url"]).netloc if event["event"] == "listening" else place
            if event["event"] == "ready":
                break
        assert place, "the server did not start"
        threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()  # its log is read
        yield place
    finally:
        process.terminate()
        process.wait()


def bodies(frame: pl.DataFrame, kind: str, rows: int) -> list[bytes]:
    parts = [frame.slice(number * rows % (frame.height - rows), rows) for number in range(BODIES)]
    if kind == JSON:
        return [json.dumps({"rows": part.to_dicts()}, separators=(",", ":")).encode() for part in parts]
    found = []
    for part in parts:
        table, sink = part.to_arrow(), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        found.append(sink.getvalue().to_pybytes())
    return found


def measure(
    place: str, path: str, kind: str, given: list[bytes], clients: int, seconds: float
) -> tuple[float, float, float]:
    """(p50, p99) in milliseconds, requests a second."""
    spent: list[list[float]] = [[] for _ in range(clients)]
    start = threading.Barrier(clients + 1)
    until = [0.0]

    def ask(number: int) -> None:
        connection, place_of = HTTPConnection(place), number * 7
        start.wait()
        while (began := time.perf_counter()) < until[0]:
            connection.request("POST", path, given[place_of % len(given)], {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            spent[number].append(time.perf_counter() - began)
            place_of += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    until[0] = time.perf_counter() + seconds
    start.wait()
    for thread in threads:
        thread.join()
    every = sorted(value for values in spent for value in values)
    return every[len(every) // 2] * 1000, every[len(every) * 99 // 100] * 1000, len(every) / seconds


def case(
    place: str, path: str, kind: str, frame: pl.DataFrame, rows: int, clients: int, seconds: float, repeats: int
) -> str:
    given = bodies(frame, kind, rows)
    measure(place, path, kind, given, clients, seconds / 4)
    before, found = used(place), []
    for _ in range(repeats):
        found.append(measure(place, path, kind, given, clients, seconds))
    cpu, requests = (after - known for after, known in zip(used(place), before, strict=True))
    p50, p99, rate = (statistics.median(values) for values in zip(*found, strict=True))
    name = "JSON" if kind == JSON else "Arrow"
    cells = [name, f"{rows:,}", clients, f"{p50:.1f}", f"{p99:.1f}", f"{rate:,.0f}", f"{rate * rows:,.0f}"]
    return "| " + " | ".join(map(str, [*cells, f"{cpu / requests * 1000:.2f}"])) + " |"


def used(place: str) -> tuple[float, float]:
    """CPU seconds of the server, and requests that it has scored."""
    connection = HTTPConnection(place)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return float(values["process_cpu_seconds_total"]), float(values["msmtrec_request_seconds_count"])


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("run", nargs="?", type=Path, default=Path("runs/demo-kuairand"))
    arguments.add_argument("--seconds", type=float, default=3)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--batching", action="store_true")
    asked = arguments.parse_args()
    if not asked.run.exists():
        sys.exit(f"there is no run in {asked.run}; train it first: msmtrec demo")
    run = Run(asked.run)
    scenario = run.scenarios[0]
    frame = KuaiRand().load().frame(scenario).select(run[scenario].columns).head(100_000)
    path = f"/v1/scenarios/{scenario}/score"
    print(f"{run.folder.name}, {run[scenario]!r}, {len(run[scenario].columns)} columns")
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores; load before: {load}; median of {asked.repeats} × {asked.seconds:g} s\n")
    head = (
        "| rows as | rows | clients | p50 ms | p99 ms | requests/s | rows/s | server CPU ms |\n" + "|---|" + "---:|" * 7
    )
    if asked.batching:
        for options in (
            ("--batch-rows", "1"),
            (),
            ("--batch-wait", "1"),
            ("--batch-wait", "3"),
        ):
            print(" ".join(options) or "the defaults", head, sep="\n\n")
            with server(run.folder, *options) as place:
                for clients in (1, 8, 32):
                    print(case(place, path, JSON, frame, 1, clients, asked.seconds, asked.repeats), flush=True)
            print()
        return
    print(head)
    with server(run.folder) as place:
        for kind in (JSON, ARROW):
            for rows in (1, 100, 1000):
                for clients in (1, 8):
                    print(case(place, path, kind, frame, rows, clients, asked.seconds, asked.repeats), flush=True)


if __name__ == "__main__":
    main()
