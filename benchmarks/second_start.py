"""The second start of an experiment with ten million rows: until its encoded tables are there, from the cache.

    python benchmarks/second_start.py [--quick]

The cache is written directly, as large as encoding would make it (82 columns, 3.3 GB of disk, removed afterwards), so
that ten million rows need not be encoded for it. The first start after the writing may check what was written against
its digests; those after it may remember.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import ROOT, TIMES, Alternative, begin, by_turns, middle
from made import HELD_OUT, encoded, made
from results import Result, Results

from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.writer import TableWriter
from msmtrec.data.table import Rows, arrays_of, open_encoded

ROWS, CHUNK = 10_000_000, 500_000
PLACE = ROOT / "runs" / "bench-logs"


class NoEncoder(Encoder):
    """Stands where a cache has a table's encoder; nothing here reads it."""

    def __init__(self) -> None:
        pass

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)


def write(folder: Path, rows: int) -> None:
    """The same chunk again and again."""
    chunk = made(CHUNK)
    data = encoded(chunk)
    counts = {"one": {"one": {"train": rows - 2 * HELD_OUT, "validation": HELD_OUT, "test": HELD_OUT}}}
    with TableWriter(folder, data.layout, counts, arrays_of(data.schema)) as writer:
        for split, count in counts["one"]["one"].items():
            for start in range(0, count, CHUNK):
                writer.add("one", "one", split, some(data.whole["train"], min(CHUNK, count - start)))
        writer.finish(data.schema, "made", "made rows", {"one": (sum(chunk.sizes), {})}, {"one": NoEncoder()})


def some(rows: Rows, count: int) -> Rows:
    return rows.take(slice(0, count))


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    folder = Path(asked["cache"]) / "made"
    os.environ["MSMTREC_CACHE"] = asked["cache"]
    if asked["what"] == "write":
        write(folder, asked["rows"])
        return {"cpu": 0.0}
    schema = encoded(made(8)).schema
    began, wall = time.process_time(), time.perf_counter()
    found = open_encoded(schema, "made", "made rows", folder)
    assert found is not None
    rows = sum(len(split) for split in found.whole.values())
    assert rows == asked["rows"]
    return {"cpu": time.process_time() - began, "wall": time.perf_counter() - wall}


def main(quick: bool) -> None:
    about = "Until `open_encoded` has given the tables, whose arrays are mapped, not read; importing is not in it."
    results = Results("second_start", "Second start from the cache", about, quick)
    rows = ROWS // 20 if quick else ROWS
    PLACE.mkdir(parents=True, exist_ok=True)
    firsts, laters = [], []
    for _ in range(1 if quick else TIMES):
        with tempfile.TemporaryDirectory(dir=PLACE) as cache:
            one = {"cache": cache, "rows": rows}
            by_turns({"write": Alternative("second_start.py", {**one, "what": "write"})}, 1)
            time.sleep(3)  # what has just changed is not taken for settled
            opening = {"second start": Alternative("second_start.py", {**one, "what": "open"})}
            firsts += by_turns(opening, 1).found["second start"]
            laters += by_turns(opening, 1).found["second start"]
    for name, found, wanted in (("the second start", firsts, 2.0), ("the third", laters, None)):
        wall = f"{middle([said['wall'] for said in found])[0]:.2f} s by the wall's clock"
        figures = middle([said["cpu"] for said in found])
        title = f"{name}, {rows:,} rows"
        results.add(Result(title, wanted, "CPU seconds", *figures, better="less", note=wall))
    results.write()


if __name__ == "__main__":
    begin(main, measure)
