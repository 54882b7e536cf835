"""The library's own training, in a process of its own: CPU seconds of a round by phase, and its rows.

    python benchmarks/ours.py '{"model": {...}, "train": {...}, "vocabulary": "small", "steps": 8}'

The config goes through the parser and `run_contender`, as a run's does; a setting that the library does not know is
answered with `missing` and the parser's sentence. Seconds are those that the library writes down for the phases of a
round, its stopwatch reading this process's CPU clock: every copy that a round makes is in them, drawing the first
parameters is not.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from made import encoded, made

from msmtrec.base.errors import UserError
from msmtrec.config.parse import Config, parse_config
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.table import EncodedData
from msmtrec.experiment.contender import run_contender
from msmtrec.federation import rounds, traffic
from msmtrec.record.directory import read_lines

BENCHMARK_SHAPE = {"name": "mmoe", "experts": 8, "expert_layers": [512, 256], "tower_layers": [128, 64]}
BENCHMARK_TRAIN = {"local_steps": 8, "batch_size": 2048, "learning_rate": 1e-3}


def parsed(asked: Mapping[str, Any], warm: bool = False) -> Config:
    """Keys of `asked`: data, model, train, methods; what it leaves out is the benchmark's shape.

    Args:
        warm: one step of one round, before the clock runs.
    """
    train = {"checkpoint_every": "99999 s", **asked.get("train", BENCHMARK_TRAIN), "threads": 1}
    if warm:
        train = {k: v for k, v in train.items() if k != "local_epochs"} | {"local_steps": 1, "rounds": 1}
    raw = {
        "data": asked.get("data", {"source": "synthetic", "shape": "aliexpress", "scenarios": 1}),
        "model": asked.get("model", BENCHMARK_SHAPE),
        "train": {"rounds": 1, **train},
        "methods": asked.get("methods", {"local": None}),
        "seeds": asked.get("seeds", 1),
        "jobs": 1,
    }
    return parse_config(raw)


def rows_of(asked: Mapping[str, Any], config: Config) -> EncodedData:
    """Logs where the config names some, from the cache `asked` names; else made rows of AliExpress's shape."""
    if "data" in asked:
        cache = Path(asked["cache"]) if "cache" in asked else None
        return encode_all(config.data.load(), {"": Variant(share=asked.get("share", False))}, cache=cache)[""]
    train = config.contenders[0][0].train
    assert train.local_steps is not None
    assert isinstance(train.batch_size, int)
    return encoded(made(train.local_steps * train.batch_size, asked.get("vocabulary", "small")))


def phases(config: Config, data: EncodedData) -> list[dict[str, float]]:
    """CPU seconds of each round by phase."""
    with tempfile.TemporaryDirectory() as folder:
        contender, seeds = config.contenders[0][0], config.seeds
        run_contender(contender, data, seeds, Path(folder) / "run", lambda _: None, 1)
        return [record["seconds"] for record in read_lines(Path(folder) / "run" / "rounds.jsonl")]


def main(asked: Mapping[str, Any]) -> None:
    for module in (traffic, rounds):
        assert module.perf_counter is time.perf_counter, "the library's stopwatch is elsewhere now"  # type: ignore[attr-defined]
        module.perf_counter = time.process_time  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    try:
        config, warm = parsed(asked), parsed(asked, warm=True)
    except UserError as error:
        print(json.dumps({"missing": str(error)}))
        return
    data = rows_of(asked, config)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    phases(warm, data)
    found = phases(config, data)
    steps = config.contenders[0][0].train
    trained = sum(len(table.splits["train"]) for table in data.tables.values()) * len(config.seeds) * len(found)
    cpu = sum(seconds.get("train", 0.0) for seconds in found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if steps.local_steps is not None:
        assert isinstance(steps.batch_size, int)
        trained = steps.local_steps * steps.batch_size * len(data.tables) * len(config.seeds) * len(found)
    print(json.dumps({"cpu": cpu, "rows": trained, "phases": found, "before": before, "peak": peak}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
