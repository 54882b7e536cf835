"""A `recommended` round of 1,000 scenarios × 2,000 rows over 65,536 shared ids: CPU seconds per phase, peak memory.

    python benchmarks/round_at_size.py [scenarios] [rows] [rounds]

Prints rows per CPU-second of all phases together: local training, evaluation, second exchange, aggregation, checkpoint.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

from msmtrec.config.parse import parse_config
from msmtrec.data.encode import Variant, encode_all
from msmtrec.experiment.contender import run_contender
from msmtrec.record.directory import read_lines


def main(scenarios: int = 1000, rows: int = 2000, rounds: int = 3) -> None:
    torch.set_num_threads(1)
    config = parse_config(
        {
            "data": {
                "source": "synthetic",
                "scenarios": scenarios,
                "rows": rows,
                "users": 40_000,
                "items": 25_000,
            },
            "train": {"rounds": rounds, "local_epochs": 1, "batch_size": 64, "checkpoint_every": 1, "threads": 1},
            "methods": {"recommended": {"method": "pf-msmtrec"}},
            "seeds": 1,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        data = encode_all(config.data.load(), {"": Variant(share=True)}, cache=Path(folder) / "cache")[""]
        encoded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        trained = sum(len(table.splits["train"]) for table in data.tables.values())
        print(f"{scenarios} scenarios, {trained:,} training rows, {data.layout.shared_rows:,} shared rows")
        began = time.process_time()
        run_contender(config.contenders[0][0], data, (0,), Path(folder) / "run", lambda _: None, 1)
        spent = time.process_time() - began
        for record in read_lines(Path(folder) / "run" / "rounds.jsonl"):
            print(record["round"], {phase: round(s, 2) for phase, s in record["seconds"].items()})
        size = sum(path.stat().st_size for path in (Path(folder) / "run").glob("rounds.jsonl"))
    whole = sum(rows for _ in range(scenarios))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{spent / rounds:.1f} CPU seconds a round, start and end shared out")
    print(f"{rounds * trained / spent:,.0f} training rows ({rounds * whole / spent:,.0f} rows) per CPU-second")
    print(f"peak {peak / 1e6:.2f} GB, {encoded / 1e6:.2f} after encoding")
    print(f"rounds.jsonl {size / rounds / 1e6:.2f} MB a round")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
