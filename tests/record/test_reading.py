"""Figures from a run directory."""

from __future__ import annotations

import numpy as np

from msmtrec.record.reading import ContenderRecord, mean_of_seeds


def test_a_seed_that_has_ended_keeps_its_last_value() -> None:
    rounds, mean = mean_of_seeds({0: {1: 0.5, 2: 0.7}, 1: {1: 0.6, 2: 0.8, 3: 0.9}})
    assert rounds.tolist() == [1, 2, 3]
    assert np.allclose(mean, [0.55, 0.75, 0.8])
    late = mean_of_seeds({0: {2: 0.7}, 1: {1: 0.6, 2: 0.8}})[1]
    assert np.allclose(late, [0.6, 0.75])


def test_a_curve_is_one_scenarios_and_tasks_after_aggregation() -> None:
    line = {"scenario": "a", "task": "click", "seed": 0, "stage": "after"}
    metrics = [
        {**line, "round": 1, "auc": 0.5},
        {**line, "round": 1, "auc": 0.9, "stage": "before"},
        {**line, "round": 2, "auc": None},
        {**line, "round": 3, "auc": 0.6, "stage": "fine-tune"},
        {**line, "round": 1, "auc": 0.1, "task": "buy"},
    ]
    rounds, mean = ContenderRecord("row", metrics, [], []).curve("a", "click")
    assert (rounds.tolist(), mean.tolist()) == ([1.0, 3.0], [0.5, 0.6])
