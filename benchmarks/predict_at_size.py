"""`msmtrec predict` over many rows of the demo: rows per CPU-second, peak memory.

    python benchmarks/predict_at_size.py RUN [rows ...]

RUN is a finished run on KuaiRand-Pure. Its first scenario's rows are repeated in a Parquet file, and one seed's model
scores them, each number of rows in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

import msmtrec
from msmtrec.logs.sources.kuairand import KuaiRand

GROUP = 100_000
"""Rows of a row group."""
ONCE = """
import resource, sys, time
from msmtrec.cli.main import app
began = time.process_time()
app(sys.argv[1:], standalone_mode=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(time.process_time() - began, peak)
"""


def write(run: msmtrec.Run, scenario: str, rows: int, path: Path) -> None:
    """Rows of the scenario, again and again."""
    columns = list(run[scenario].columns)
    own = next(chunk for name, chunk in KuaiRand().load().stream() if name == scenario).select(columns)
    group = pl.concat([own] * (GROUP // own.height + 1)).head(GROUP).to_arrow()
    with pq.ParquetWriter(path, group.schema) as file:
        for _ in range(rows // GROUP):
            file.write_table(group)


def main(folder: str, *counts: str) -> None:
    run = msmtrec.load(folder)
    scenario, seed = run.scenarios[0], run.seeds(run.best)[0]
    for rows in [int(count) for count in counts] or [2_000_000, 20_000_000, 100_000_000]:
        with tempfile.TemporaryDirectory() as place:
            given, written = Path(place) / "rows.parquet", Path(place) / "scores.parquet"
            write(run, scenario, rows, given)
            arguments = ["--scenario", scenario, "--seed", str(seed), "--input", str(given), "--output", str(written)]
            command = [sys.executable, "-c", ONCE, "predict", folder, *arguments]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            spent, peak = (float(figure) for figure in said.split()[-2:])
        columns = len(run[scenario].columns)
        print(f"{rows:,} rows × {columns} columns: {rows / spent:,.0f} rows per CPU-second, peak {peak / 1e9:.2f} GB")


if __name__ == "__main__":
    main(*sys.argv[1:])
