"""CSV to encoded tables in the cache: rows per CPU-second, and how much memory it takes at two sizes.

    python benchmarks/reading.py [--quick]

The files are AliExpress-shaped, 82 columns, written once. `data_at_size.py` has the same measurement at 2 GB.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from data_at_size import CONFIG, bytes_of
from harness import ROOT, TIMES, Alternative, begin, by_turns, environment, middle
from results import Result, Results

from msmtrec.config.parse import load_config
from msmtrec.data.encode import Variant, encode_all

PLACE = ROOT / "runs" / "bench-logs"
SIZES = (500_000, 2_000_000)


def written(rows: int) -> Path:
    """The folder of so many rows' files, made where it is not there."""
    folder = PLACE / f"{rows}"
    if not (folder / "truth.json").exists():
        command = [sys.executable, "-m", "msmtrec", "data", "synthesize", str(CONFIG), "--format", "aliexpress"]
        command += ["--set", f"data.rows.total={rows}", "--out", str(folder)]
        subprocess.run(command, check=True, env=environment(1), capture_output=True)
    return folder


@contextmanager
def own_cache() -> Iterator[Path]:
    """An empty one, which is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=PLACE) as cache:
        os.environ["MSMTREC_CACHE"] = cache
        yield Path(cache)


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """By the library; or by polars, which parses every file once and keeps nothing."""
    folder = Path(asked["logs"])
    if asked["by"] == "polars":
        began, rows = time.process_time(), 0
        for path in sorted(folder.rglob("*.csv")):
            rows += sum(batch.height for batch in pl.scan_csv(path).collect_batches())
        return {"cpu": time.process_time() - began, "rows": rows, "peak": peak()}
    with own_cache() as cache:
        logs = load_config(folder / "config.yaml").data.load()
        began = time.process_time()
        data = encode_all(logs, {"": Variant()}, cache=cache)[""]
        cpu = time.process_time() - began
        rows = sum(len(split) for split in data.whole.values())
        return {"cpu": cpu, "rows": rows, "peak": peak(), "disk": bytes_of(cache)}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(quick: bool) -> None:
    about = "Two passes: vocabularies and scalers from the training rows, then the rows themselves, into the cache."
    results = Results("reading", "Reading and caching CSV", about, quick)
    PLACE.mkdir(parents=True, exist_ok=True)
    few, many = (100_000, 200_000) if quick else SIZES
    folder = written(many)
    known = {
        "ours": Alternative("reading.py", {"logs": str(folder), "by": "ours"}),
        "polars, parsing once": Alternative("reading.py", {"logs": str(folder), "by": "polars"}),
    }
    turns = by_turns(known, 1 if quick else TIMES)
    less = by_turns({"few": Alternative("reading.py", {"logs": str(written(few)), "by": "ours"})}, 1)
    results.know(known)
    size = f"{bytes_of(folder) / 1e9:.1f} GB"
    speeds = middle(turns.speeds("ours"))
    results.add(Result("82 columns, two passes", 150_000, "rows per CPU-second", *speeds, of="ours"))
    results.add(Result("over polars parsing once", None, "x", *middle(turns.faster("ours", "polars, parsing once"))))
    peaks = middle([said["peak"] / 1e9 for said in turns.found["ours"]])
    grown = f"{less.found['few'][0]['peak'] / 1e9:.2f} GB at {few:,} rows"
    name = f"peak memory at {many:,} rows, {size}"
    results.add(Result(name, 1.5, "GB", *peaks, better="less", note=grown, of="ours"))
    results.write()


if __name__ == "__main__":
    begin(main, measure)
