"""The linear head against scipy's minimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from msmtrec.statistics.wide import RIDGE, fit


def problem(seed: int = 0, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 5)).astype(np.float32)
    labels = (random.random(rows) < 1 / (1 + np.exp(-2 * x[:, 0] + x[:, 1] + 1))).astype(np.float32)
    labels[random.random(rows) < 0.1] = np.nan
    return x, labels, random.random(rows).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_minimum(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, weight = problem()
    monkeypatch.setattr("msmtrec.statistics.wide._CHUNK", 33)
    found = fit(x, labels, weight if weighted else None)
    known, share = ~np.isnan(labels), weight if weighted else np.ones(len(labels))

    def value(theta: np.ndarray) -> float:
        z = x[known].astype(float) @ theta[:-1] + theta[-1]
        loss = share[known] @ (np.logaddexp(0, z) - labels[known] * z)
        return float(loss + RIDGE * np.square(theta[:-1]).sum())

    best = minimize(value, np.zeros(6), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose([*found.a, found.b], best.x, atol=1e-4)
    assert value(np.append(found.a, found.b)) <= best.fun + 1e-9
    np.testing.assert_allclose(found(x), x @ found.a + found.b)


def test_separable_labels_and_wild_inputs_have_an_answer() -> None:
    x = np.array([[1e4], [-1e4], [1e4], [-1e4]])
    found = fit(x, np.array([1.0, 0, 1, 0]))
    assert np.isfinite([*found.a, found.b]).all()
    assert found(x)[0] > 5 > -5 > found(x)[1]


@pytest.mark.parametrize(
    ("labels", "logit"), [([1, 1, 1], np.log(7)), ([0, np.nan, 0], np.log(0.2)), ([np.nan] * 3, 0)]
)
def test_one_class_gives_its_rate(labels: list[float], logit: float) -> None:
    found = fit(np.ones((3, 2)), np.array(labels, np.float32))
    assert found.b == pytest.approx(logit)
    assert not found.a.any()


def test_rows_that_weigh_nothing_are_not_there() -> None:
    x, labels, _ = problem()
    weight = (np.arange(len(x)) % 2).astype(np.float32)
    one, other = fit(x, labels, weight), fit(x[weight > 0], labels[weight > 0])
    np.testing.assert_allclose(one.a, other.a)
    assert one.b == pytest.approx(other.b)
