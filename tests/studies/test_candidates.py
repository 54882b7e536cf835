"""Candidates: the same points of the common space for every contender, over all of each range."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.config.bench import load_bench, parse_bench
from msmtrec.config.space import Range
from msmtrec.studies.candidates import candidates_of, points, value_at
from places import ROOT
from studies.small import BENCH, changed


def ranged(**settings: Any) -> Range:
    return Range.model_validate(settings)


def rates(found: Any, name: str) -> list[float]:
    return [one.contender.train.learning_rate for one in found[name]]


def test_contenders_have_the_same_points_of_the_common_space() -> None:
    found = candidates_of(parse_bench(changed("bench.candidates", 7)))
    assert [one.label for one in found["local"]] == [f"c{n:02}" for n in range(1, 8)]
    assert [one.chosen for one in found["local"]] == [one.chosen for one in found["fedavg"]]
    assert len(set(rates(found, "local"))) == 7


def test_one_more_contender_and_one_more_key_change_nobody_else() -> None:
    before = candidates_of(parse_bench(BENCH))
    more = {"local": None, "paper": {"method": "pf-msmtrec", "space": {"options.penalty": {"low": 0.1, "high": 1}}}}
    after = candidates_of(parse_bench({**BENCH, "methods": more}))
    assert after["local"] == before["local"]
    assert rates(after, "paper") == rates(before, "local")
    penalties = [one.contender.settings.model_dump()["penalty"] for one in after["paper"]]
    assert all(0.1 <= penalty <= 1 for penalty in penalties)
    assert len(set(penalties)) == 2


def test_a_key_of_its_own_takes_the_place_of_the_common_one() -> None:
    methods = {"local": None, "fedavg": {"space": {"train.learning_rate": [0.02, 0.03]}}}
    found = candidates_of(parse_bench({**BENCH, "methods": methods}))
    assert set(rates(found, "fedavg")) == {0.02, 0.03}
    lengths = {name: [one.contender.train.local_steps for one in own] for name, own in found.items()}
    assert lengths["fedavg"] == lengths["local"]


def test_without_a_network_only_some_keys_apply_and_what_comes_to_the_same_counts_once() -> None:
    methods = {"local": None, "bias": {"space": {"options.shrinkage": [5, 20]}}, "linear": None}
    raw = {**changed("bench.candidates", 6), "methods": methods}
    raw["bench"]["space"] = {**BENCH["bench"]["space"], "statistics.shrinkage": {"low": 1.0, "high": 99.0}}
    found = candidates_of(parse_bench(raw))
    assert {name: len(own) for name, own in found.items()} == {"local": 6, "bias": 2, "linear": 6}
    assert {key for one in found["bias"] for key in one.chosen} == {"options.shrinkage"}
    assert {key for one in found["linear"] for key in one.chosen} == {"statistics.shrinkage"}


def test_every_part_of_a_range_is_met_once_and_every_value_as_often() -> None:
    space = {
        "train.learning_rate": ranged(low=1e-4, high=1e-2, log=True),
        "train.weight_decay": ranged(low=0.0, high=1.0),
        "train.batch_size": [64, 128, 256],
    }
    found = points(space, 12)
    logs = [math.log10(one["train.learning_rate"]) for one in found]
    assert sorted(math.floor((value + 4) / 2 * 12) for value in logs) == list(range(12))
    assert sorted(math.floor(one["train.weight_decay"] * 12) for one in found) == list(range(12))
    assert Counter(one["train.batch_size"] for one in found) == {64: 4, 128: 4, 256: 4}
    assert points(space, 12) == found
    orders = [sorted(range(12), key=[one[key] for one in found].__getitem__) for key in space]
    assert orders[0] != orders[1]


@pytest.mark.parametrize(
    ("values", "low", "middle", "high"),
    [
        ([1, "b", None], 1, "b", None),
        (ranged(low=1, high=5), 1, 3, 5),
        (ranged(low=2, high=9, step=3), 2, 5, 8),
        (ranged(low=1, high=100, log=True), 1, 10, 100),
        (ranged(low=0.5, high=1.5), 0.5, 1.0, 1.5),
        (ranged(low=0.0, high=1.0, step=0.25), 0.0, 0.5, 1.0),
        (ranged(low=0.01, high=1, log=True), 0.01, 0.1, 1),
    ],
)
def test_places_of_a_list_or_range(values: Any, low: Any, middle: Any, high: Any) -> None:
    almost = 1 - 1e-12
    assert (value_at(0.0, values), value_at(0.5, values), value_at(almost, values)) == (low, middle, high)
    assert all(type(value_at(u, values)) is type(low) for u in (0.2, 0.8)) or isinstance(values, list)


def test_a_group_that_is_switched_on_takes_a_key() -> None:
    raw = {**BENCH, "methods": {"local": {"statistics": True}, "fedavg": {"statistics": {"ridge": 3}}}}
    raw["bench"] = {**BENCH["bench"], "space": {**BENCH["bench"]["space"], "statistics.shrinkage": [7.0]}}
    found = candidates_of(parse_bench(raw))
    for name, ridge in (("local", 10), ("fedavg", 3)):
        statistics = found[name][0].contender.statistics
        assert statistics is not None
        assert (statistics.shrinkage, statistics.ridge) == (7, ridge)


@pytest.mark.parametrize("decay", [[1, 0.9], {"low": 0.8, "high": 1.0}, {"low": 0.8, "high": 1.0, "step": 0.1}])
def test_a_decay_is_a_list_or_a_range(decay: Any) -> None:
    raw = {**BENCH, "methods": {"local": {"statistics": True}, "linear": None}}
    raw["bench"] = {**BENCH["bench"], "space": {**BENCH["bench"]["space"], "statistics.decay": decay}}
    for own in candidates_of(parse_bench(raw)).values():
        found = {one.contender.statistics.decay for one in own if one.contender.statistics}
        assert len(found) > 1
        assert all(0.8 <= one <= 1 for one in found)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (
            "train.learning_rat",
            [1, 2],
            r"bench.space, local c01: unknown config key 'train.learning_rat'; did you mean",
        ),
        ("model.experts", [0, 1], r"bench.space, local c0\d: methods.local.model.experts: Input should be"),
        ("train.rounds", [8, 1], r"bench.space, local c0\d: bench.rungs: 2 rungs halve 1 round to less .* at most 1"),
    ],
)
def test_an_impossible_value_is_refused_with_its_contender(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        candidates_of(parse_bench(changed("bench.space", {**BENCH["bench"]["space"], key: value})))


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "bench").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_benchmarks_of_the_project_have_the_reference_rows_and_as_many_candidates(path: Path) -> None:
    bench = load_bench(path)
    found = candidates_of(bench)
    assert {"bias", "local", "fedavg", "pooled"} <= found.keys()
    assert {len(own) for own in found.values()} == {bench.settings.candidates} == {12}
    assert bench.settings.seeds >= 10
