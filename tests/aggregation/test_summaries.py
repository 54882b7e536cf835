"""What is written of a conflict problem does not grow with the square of the scenarios."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from msmtrec.aggregation.summaries import HEAVIEST, LISTED, largest, summarise_conflict


def problem(K: int, J: int = 2) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Cosines of random directions, dual points and coefficients that sum to one."""
    stream = torch.Generator().manual_seed(K)
    directions = torch.nn.functional.normalize(torch.randn(K, 40, generator=stream, dtype=torch.float64))
    weights, coefficients = (torch.rand(n, K, generator=stream, dtype=torch.float64) for n in (J, 1))
    weights, coefficients = weights / weights.sum(1, keepdim=True), coefficients[0] / coefficients.sum()
    return directions @ directions.T, weights, coefficients, [f"s{n}" for n in range(K)]


def summary(K: int) -> dict[str, Any]:
    return summarise_conflict(*problem(K), [100 + (11 * n) % K for n in range(K)])


def test_few_scenarios_are_there_in_full() -> None:
    cosine, weights, coefficients, names = problem(5)
    found = summarise_conflict(cosine, weights, coefficients, names, [1, 2, 3, 4, 5])
    assert (found["scenarios"], found["of"]) == (names, 5)
    assert np.allclose(found["cosine"], cosine, rtol=1e-5)
    assert np.allclose(found["conflict_weights"], weights, rtol=1e-5)
    assert np.allclose(found["coefficients"], coefficients, rtol=1e-5)
    assert "rest" not in found
    assert json.loads(json.dumps(found)) == found


def test_many_scenarios_are_the_largest_and_figures_of_all_others() -> None:
    K = 70
    cosine, weights, coefficients, names = problem(K)
    rows = [100 + (11 * n) % K for n in range(K)]
    found = summarise_conflict(cosine, weights, coefficients, names, rows)
    at = [n for n in range(K) if rows[n] >= 100 + K - LISTED]
    assert found["scenarios"] == [names[n] for n in at]
    assert np.allclose(found["cosine"], cosine[at][:, at], rtol=1e-5)
    pairs = cosine[torch.triu(torch.ones(K, K, dtype=torch.bool), 1)].numpy()
    assert found["pairs"]["count"] == K * (K - 1) // 2
    assert found["pairs"]["negative"] == pytest.approx((pairs < 0).mean(), rel=1e-5)
    assert found["pairs"]["mean"] == pytest.approx(pairs.mean(), rel=1e-5)
    assert found["pairs"]["q05"] == pytest.approx(np.quantile(pairs, 0.05), rel=1e-5)
    others = [n for n in range(K) if n not in at]
    assert found["rest"]["scenarios"] == K - LISTED
    assert np.allclose(np.sum(found["conflict_weights"], 1) + found["rest"]["conflict_weights"], 1)
    assert found["rest"]["coefficients"]["max"] == pytest.approx(float(coefficients[others].max()), rel=1e-5)


def test_the_heaviest_are_named_whatever_their_size() -> None:
    weights = torch.zeros(2, 40, dtype=torch.float64)
    weights[:, 3], weights[0, 39], weights[1, 5] = 0.75, 0.25, 0.25
    found = summarise_conflict(torch.eye(40), weights, torch.ones(40), [f"s{n}" for n in range(40)], list(range(40)))
    assert found["heaviest"] == {"s3": 0.75, "s5": 0.125, "s39": 0.125}
    assert next(iter(found["heaviest"])) == "s3"
    assert "s3" not in found["scenarios"]
    assert len(summary(200)["heaviest"]) == HEAVIEST


def test_its_size_does_not_grow() -> None:
    sizes = [len(json.dumps(summary(K))) for K in (100, 1000)]
    assert sizes[1] < 1.1 * sizes[0] < 16_000


def test_numbers_are_short_and_never_bare_nan() -> None:
    cosine = torch.tensor([[1.0, 1 / 3, math.nan], [1 / 3, 1.0, -1.0], [math.nan, -1.0, 1.0]], dtype=torch.float64)
    found = summarise_conflict(cosine, torch.full((1, 3), 1 / 3), torch.ones(3), ["a", "b", "c"], [1, 1, 1])
    assert found["cosine"] == [[1.0, 0.333333, None], [0.333333, 1.0, -1.0], [None, -1.0, 1.0]]
    assert (found["pairs"]["count"], found["pairs"]["negative"]) == (2, 0.5)
    json.dumps(found, allow_nan=False)


def test_one_scenario_has_no_pair() -> None:
    found = summarise_conflict(torch.ones(1, 1), torch.ones(1, 1), torch.ones(1), ["a"], [9])
    assert found["pairs"] == {"count": 0, "negative": None} | dict.fromkeys(
        ("mean", "min", "q05", "q25", "median", "q75", "q95", "max")
    )


def test_sizes_must_fit() -> None:
    with pytest.raises(ValueError, match="sizes do not fit"):
        summarise_conflict(torch.eye(3), torch.ones(3, 2), torch.ones(3), ["a", "b", "c"], [1, 2, 3])
    with pytest.raises(ValueError, match=r"sizes do not fit.* 2 rows"):
        summarise_conflict(torch.eye(3), torch.ones(3, 3), torch.ones(3), ["a", "b", "c"], [1, 2])


def test_of_equals_the_first() -> None:
    assert largest([5, 7, 5, 5], 2) == [0, 1]
    assert largest([1, 2, 3], 9) == [0, 1, 2]
