"""Benchmarks that are refused, each with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from msmtrec.base.errors import UserError
from msmtrec.config.bench import parse_bench
from msmtrec.config.parse import load_config_for_rows, parse_config
from studies.small import BENCH, changed

RATE = "train.learning_rate"


def spaced(key: str, value: Any) -> dict[str, Any]:
    return changed("bench.space", {**BENCH["bench"]["space"], key: value})


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (changed("bench", None), "the config has no 'bench'"),
        (changed("bench.candidats", 2), "unknown config key 'bench.candidats'; did you mean 'candidates'"),
        (changed("bench.candidates", 0), r"bench.candidates: .*greater than or equal to 1 \(given: 0\)"),
        (changed("bench.seeds", 0), "bench.seeds: .*greater than or equal to 1"),
        (changed("bench.tune_seeds", 0), "bench.tune_seeds: .*greater than or equal to 1"),
        (spaced(RATE, []), r"bench.space.train.learning_rate must be a list of values to try, not \[\]"),
        (spaced(RATE, 0.1), "bench.space.train.learning_rate must be a list of values"),
        (spaced(RATE, [0.1, 0.1]), "bench.space.train.learning_rate lists 0.1 twice"),
        (spaced(RATE, {"low": 1, "high": 1}), "bench.space.train.learning_rate: low must be below high, not 1 and 1"),
        (spaced(RATE, {"low": 0, "high": 1, "log": True}), "log: true needs low above 0, not 0"),
        (spaced(RATE, {"low": 1, "high": 2, "log": True, "step": 1}), "step .* log: true does not"),
        (spaced(RATE, {"low": 1, "high": 2, "step": 5}), "step 5 is longer than the range from 1 to 2"),
        (spaced(RATE, {"low": 1, "hihg": 2}), "unknown config key 'bench.space.train.learning_rate.hihg'"),
        (spaced(RATE, {"low": 1}), "bench.space.train.learning_rate.high is missing"),
        (spaced(RATE, {"low": True, "high": 2}), "learning_rate.low: must be a number, not True"),
        (spaced("trian.learning_rate", [1]), "bench.space.trian.learning_rate: .* did you mean 'train.learning_rate'"),
        (spaced("train", {"low": 1, "high": 2}), "bench.space.train must list groups of settings"),
        (spaced("train.local_steps", [1, 2]), "bench.space.train and bench.space.train.local_steps both set"),
        (spaced("options.clip", [1, 2]), None),
        (spaced("options.penalty", [1, 2]), "methods.local has no option 'penalty' .*move it to methods.NAME.space"),
        (spaced("options.average", ["nothing"]), "options.average would overwrite .* its method or preset sets"),
        (spaced("statistics.shrinkage", [1, 2]), "bench.space.statistics.shrinkage: no contender has"),
        (changed("tune", {RATE: [1]}), "tune is not for `msmtrec bench`: bench.space has what contenders try"),
        (changed("seeds", 3), "seeds is not for `msmtrec bench`: bench.seeds"),
        (changed("methods", {"local": {"tune": {RATE: [1]}}}), "methods.local.tune is not for `msmtrec bench`"),
        (changed("methods", {"local": {"train": {"learning_rate": 1}}}), "bench.space.train.learning_rate would over"),
        (changed("methods", {"local": {"space": {"options.clop": [1]}}}), "local has no option 'clop' .*mean 'clip'"),
        (changed("methods", {"bias": {"space": {RATE: [1]}}}), "methods.bias.space.train.* bias has no network"),
        (changed("train.learning_rat", 1), "unknown config key 'train.learning_rat'"),
    ],
)
def test_benchmarks_that_are_refused(raw: dict[str, Any], sentence: str | None) -> None:
    if sentence is None:
        parse_bench(raw)
        return
    with pytest.raises(UserError, match=sentence) as found:
        parse_bench(raw)
    assert "\n" not in str(found.value)


def test_other_commands_refuse_what_they_would_not_train() -> None:
    with pytest.raises(UserError, match="bench is for `msmtrec bench CONFIG`"):
        parse_config(BENCH)
    raw = {**BENCH, "methods": {"local": {"space": {RATE: [1]}}}}
    with pytest.raises(UserError, match=r"methods.local.space is for `msmtrec bench`"):
        parse_config({key: value for key, value in raw.items() if key != "bench"} | {"train": {"local_steps": 1}})


def test_who_only_looks_at_the_rows_reads_a_benchmark_too(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(yaml.safe_dump({**BENCH, "methods": {"local": {"space": {RATE: [1]}}}}))
    assert load_config_for_rows(path).data == parse_bench(BENCH).config.data
