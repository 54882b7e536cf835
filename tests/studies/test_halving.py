"""Who goes on from a rung, for how many rounds; and what all of it comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msmtrec.config.bench import parse_bench
from msmtrec.experiment.processes import ContenderTask
from msmtrec.studies.candidates import candidates_of
from msmtrec.studies.going import judged
from msmtrec.studies.halving import better, left_after, rounds_at, rungs_of
from msmtrec.studies.plan import Pace, Stage, in_words, plan
from studies.small import BENCH, changed


def test_the_better_half_goes_on_in_its_order() -> None:
    scores = {"c01": 0.6, "c02": 0.7, "c03": None, "c04": 0.5, "c05": 0.65}
    assert better(scores, 3) == ["c01", "c02", "c05"]
    assert better(scores, 1) == ["c02"]


def test_of_equals_the_first_and_none_that_came_to_nothing() -> None:
    assert better({"c01": 0.6, "c02": 0.6}, 1) == ["c01"]
    assert better({"c01": None, "c02": 0.1}, 2) == ["c02"]
    assert better({"c01": None}, 1) == []


@pytest.mark.parametrize(
    ("rounds", "rungs", "expected"), [(60, 3, [15, 30, 60]), (7, 3, [1, 3, 7]), (4, 1, [4]), (1, 1, [1])]
)
def test_rounds_of_rungs(rounds: int, rungs: int, expected: list[int]) -> None:
    assert [rounds_at(rounds, rung, rungs) for rung in range(rungs)] == expected


def test_from_the_last_rung_goes_one() -> None:
    assert [left_after(12, 0, 3), left_after(6, 1, 3), left_after(3, 2, 3), left_after(5, 0, 3)] == [6, 3, 1, 3]


def test_what_trains_in_no_rounds_climbs_one_rung_and_a_single_candidate_none() -> None:
    bench = parse_bench({**BENCH, "methods": ["local", "bias"]})
    local, bias = (candidates[0] for candidates in bench.config.contenders)
    assert [rungs_of(12, local, 3), rungs_of(12, bias, 3), rungs_of(1, local, 3)] == [3, 1, 0]


def test_the_plan_of_the_issue() -> None:
    """Twelve candidates, two seeds, three rungs, each of which goes on: 12 trainings of one seed; then ten seeds."""
    raw = changed("bench", {**BENCH["bench"], "candidates": 12, "tune_seeds": 2, "seeds": 10, "rungs": 3})
    bench = parse_bench({**raw, "train": {"rounds": 60}, "methods": {"local": None, "bias": None}})
    found = plan(bench, candidates_of(bench))
    assert found["local"].rungs == (Stage(12, 15, 2), Stage(6, 15, 2), Stage(3, 30, 2))
    assert found["local"].final == Stage(1, 60, 10)
    assert (found["local"].seed_runs, found["bias"].seed_runs) == (12 + 10, 0)
    assert in_words(found) == (
        "2 contenders, 23 trainings: as much as 22 trainings of one seed over all rounds, 22 for local"
    )


def test_of_two_columns_the_better_counts(tmp_path: Path) -> None:
    (candidates,) = parse_bench({**BENCH, "methods": ["fedavg"], "fine_tune": True}).config.contenders
    nothing: Any = None
    task = ContenderTask(replace(candidates[0], candidate="c01"), nothing, (0,), tmp_path / "fedavg" / "c01")
    for aucs in ((0.6, 0.7), (0.8, 0.7), (None, 0.7)):
        for folder, auc in zip(task.folders.values(), aucs, strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "validation.json").unlink(missing_ok=True)
            text = json.dumps({"sentence": "it diverged"} if auc is None else [{"auc": auc}])
            (folder / ("failed.json" if auc is None else "validation.json")).write_text(text)
        assert judged(task) == max(auc for auc in aucs if auc is not None)
    (task.folders["fedavg+ft"] / "failed.json").write_text('{"sentence": "so did this"}')
    assert judged(task) == "it diverged"


def test_what_trains_in_no_rounds_says_nothing_of_the_pace_of_others() -> None:
    bench = parse_bench({**BENCH, "methods": ["local", "bias"]})
    candidates = candidates_of(bench)
    pace = Pace(plan(bench, candidates), 1, iter(range(9)).__next__)
    nothing: Any = None
    bias = candidates["bias"][0].contender
    pace.starts(bias.title)
    pace.ended(ContenderTask(bias, nothing, (0, 1), Path("x")), 0)
    assert (pace.left(), pace.items) == (None, 0)
    local = candidates["local"][0].contender
    pace.starts(local.title)
    pace.clock()
    pace.clock()
    pace.ended(ContenderTask(local, nothing, (0,), Path("x")), 2)  # 3 seconds for 4 of its 14 rounds
    assert pace.left() == pytest.approx(10 * 3 / 4)
    assert pace.items == 1


def test_time_left_by_the_pace_of_each_contender() -> None:
    bench = parse_bench(BENCH)  # 2 candidates of 2 rounds, 1 of 2 more, 1 seed; then 4 rounds of 2 seeds
    candidates = candidates_of(bench)
    now = 0.0
    pace = Pace(plan(bench, candidates), 2, lambda: now)
    assert pace.left() is None
    for name, seconds in (("local", 4.0), ("fedavg", 12.0)):
        one = candidates[name][0].contender
        short = replace(one, train=one.train.model_copy(update={"rounds": 2}))
        nothing: Any = None
        pace.starts(short.title)
        now += seconds
        pace.ended(ContenderTask(short, nothing, (0,), Path("x")), 0)
    work = 2 + 2 + 8  # the other candidate, the second rung, the final seeds
    assert pace.left() == pytest.approx(work * (4 / 2 + 12 / 2) / 2)
    pace.not_needed("fedavg")
    assert pace.left() == pytest.approx(work * 2 / 2)


def test_a_training_that_goes_on_is_paced_by_what_it_trains_itself() -> None:
    bench = parse_bench({**BENCH, "methods": ["local"]})
    candidates = candidates_of(bench)
    now = 0.0
    pace = Pace(plan(bench, candidates), 1, lambda: now)
    nothing: Any = None
    task = ContenderTask(candidates["local"][0].contender, nothing, (0,), Path("x"))
    pace.starts(task.contender.title)
    now = 6.0
    pace.ended(task, 1, 2)  # rounds 3 and 4
    assert pace.left() == pytest.approx((4 + 8) * 6 / 2)
