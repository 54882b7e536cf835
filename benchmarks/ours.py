"""The library's own training, in a process of its own: CPU seconds of a round by phase, and its rows.

    python benchmarks/ours.py '{"model": {...}, "train": {...}, "vocabulary": "small", "steps": 8}'

The config goes through the parser and `run_contender`, as a run's does; a setting that the library does not know is
answered with `missing` and the parser's sentence. Seconds are those that the library writes down for the phases of a
round, its stopwatch reading this process's CPU clock: every copy that a round makes is in them, drawing the first
parameters is not.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from clock import Clock
from harness import Missing, begin
from made import encoded, made

from msmtrec.base.errors import UserError
from msmtrec.config.parse import Config, parse_config
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.table import EncodedData
from msmtrec.experiment.contender import run_contender
from msmtrec.federation import rounds, traffic
from msmtrec.record.directory import read_lines
from msmtrec.runtime.allocator import keep_freed_memory

BENCHMARK_SHAPE = {"name": "mmoe", "experts": 8, "expert_layers": [512, 256], "tower_layers": [128, 64]}
MAY_LACK = ("model.norm", "train.precision")
"""Settings that a target names and that the library need not have; another sentence of the parser's is our mistake."""
BENCHMARK_TRAIN = {"local_steps": 8, "batch_size": 2048, "learning_rate": 1e-3}


def parsed(asked: Mapping[str, Any], warm: bool = False) -> Config:
    """Keys of `asked`: data, model, train, methods; what it leaves out is the benchmark's shape.

    Args:
        warm: one step of one round, before the clock runs.
    """
    train = {"checkpoint_every": "99999 s", **asked.get("train", BENCHMARK_TRAIN), "threads": None}
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
        if not getattr(config.data, "present", lambda: True)():
            raise Missing(f"the logs of {asked['data']['source']} are not in the data directory")
        cache = Path(asked["cache"]) if "cache" in asked else None
        return encode_all(config.data.load(), {"": Variant(share=asked.get("share", False))}, cache=cache)[""]
    train = config.contenders[0][0].train
    assert train.local_steps is not None
    assert isinstance(train.batch_size, int)
    return encoded(made(train.local_steps * train.batch_size, asked.get("vocabulary", "small")))


def trained(config: Config, data: EncodedData, wall: bool = False) -> tuple[list[dict[str, float]], list[float]]:
    """Seconds of each round by phase, as the library writes them down; seconds of each round whole."""
    contender, clock = config.contenders[0][0], Clock(wall)
    with tempfile.TemporaryDirectory() as folder:
        run_contender(contender, data, config.seeds, Path(folder) / "run", clock, torch.get_num_threads())
        return [one["seconds"] for one in read_lines(Path(folder) / "run" / "rounds.jsonl")], clock.rounds


def rows_a_round(config: Config, data: EncodedData) -> int:
    """That all members together train on."""
    train = config.contenders[0][0].train
    if train.local_steps is not None:
        assert isinstance(train.batch_size, int)
        return train.local_steps * train.batch_size * len(data.tables) * len(config.seeds)
    assert train.local_epochs is not None
    each = sum(len(table.splits["train"]) for table in data.tables.values())
    return round(train.local_epochs * each * len(config.seeds))


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """Keys beside those of `parsed` and `rows_of`: `wall`, whether whole rounds are measured, by the wall's clock;
    `cold`, whether nothing is trained before the clock runs; `encode`, whether rows are encoded and that is all."""
    keep_freed_memory()  # as `msmtrec train` does
    for module in () if asked.get("wall") else (traffic, rounds):
        assert module.perf_counter is time.perf_counter, "the library's stopwatch is elsewhere now"  # type: ignore[attr-defined]
        module.perf_counter = time.process_time  # type: ignore[attr-defined]
    try:
        config, warm = parsed(asked), parsed(asked, warm=True)
    except UserError as error:
        if not any(setting in str(error) for setting in MAY_LACK):
            raise
        raise Missing(str(error)) from error
    data = rows_of(asked, config)
    if asked.get("encode"):
        return {"cpu": 0.0}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if not asked.get("cold"):
        trained(warm, data)
    phases, spent = trained(config, data, asked.get("wall", False))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "cpu": sum(spent) if asked.get("wall") else sum(seconds.get("train", 0.0) for seconds in phases),
        "rows": rows_a_round(config, data) * len(phases),
        "phases": phases,
        "rounds": spent,
        "before": before,
        "peak": peak,
    }


def main(quick: bool) -> None:
    print(measure({"model": {**BENCHMARK_SHAPE, "embedding_dim": 16 if quick else 128}}))


if __name__ == "__main__":
    begin(main, measure)
