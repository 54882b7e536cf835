"""Weighted figures: by scikit-learn, and a row of weight 2 is two rows, a row of weight 0 none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from msmtrec.evaluation.calibration import KINDS, Chances, Steps, calibrate
from msmtrec.evaluation.contributions import contributions
from msmtrec.evaluation.metrics import auc, log_loss, measure
from msmtrec.evaluation.quality import gauc, quality
from msmtrec.evaluation.reliability import Reliability
from msmtrec.evaluation.support import support

Array = NDArray[np.float64]


def drawn(rows: int, seed: int = 0) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """(scores with ties, labels, users, weights 0 … 3)"""
    random = np.random.default_rng(seed)
    scores = random.normal(size=rows).round(1)
    labels = (random.random(rows) < expit(scores - 1)).astype(float)
    return scores, labels, random.integers(0, rows // 12, rows), random.integers(0, 4, rows).astype(float)


def repeated(weights: Array, *arrays: Array) -> list[Array]:
    return [np.repeat(array, weights.astype(int)) for array in arrays]


def test_auc_and_log_loss_are_scikit_learns() -> None:
    scores, labels, _, _ = drawn(3000)
    weights = np.random.default_rng(1).exponential(size=3000)
    assert auc(scores, labels, weights) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12
    )
    wanted = sklearn_log_loss(labels, expit(scores), sample_weight=weights)
    assert log_loss(scores, labels, weights) == pytest.approx(wanted, abs=1e-9)
    assert math.isnan(auc(scores, np.ones(3000), weights))


def test_auc_by_hand() -> None:
    # ups .9 (weight 2) and .4 (1); downs .5 (3) and .4 (1): 2·(3 + 1) + 1·(0 + ½) of 3·4
    found = auc(np.array([0.9, 0.4, 0.5, 0.4]), np.array([1.0, 1, 0, 0]), np.array([2.0, 1, 3, 1]))
    assert found == pytest.approx(8.5 / 12)


@pytest.mark.parametrize(
    "figures",
    [
        lambda s, y, g, w: asdict(quality(s, y, g, w)),
        lambda s, y, g, w: {"auc": auc(s, y, w)},
        lambda s, y, g, w: {"gauc": gauc(s, y, g, w)},
        lambda s, y, g, w: {
            f"{n} {k}": v for n, p in enumerate(Reliability.of(s, y, w).points) for k, v in enumerate(p[:2])
        },
    ],
    ids=["quality", "auc", "gauc", "reliability"],
)
def test_a_weight_is_how_often_a_row_is_there(figures: Callable[..., dict[str, float]]) -> None:
    scores, labels, group, weights = drawn(900)
    there = weights > 0
    found = figures(*(array[there] for array in (scores, labels, group, weights)))
    assert found == pytest.approx(figures(*repeated(weights, scores, labels, group), None), rel=1e-12)
    assert found == pytest.approx(figures(*(array[there] for array in (scores, labels, group)), weights[there] * 0.37))
    assert found != pytest.approx(figures(*(array[there] for array in (scores, labels, group)), None), rel=1e-3)


def test_equal_weights_are_none() -> None:
    scores, labels, group, _ = drawn(900)
    found, wanted = (quality(scores, labels, group, weights) for weights in (np.full(900, 0.3), None))
    assert asdict(found) == pytest.approx(asdict(wanted), rel=1e-12)


def test_a_row_of_weight_nought_is_not_there() -> None:
    scores, labels, _, weights = drawn(400)
    logits, truth = np.stack([scores, -scores], 1), np.stack([labels, 1 - labels], 1)
    each = np.stack([weights, weights[::-1]], 1)
    for given in (weights, each):
        found = measure("a", ("click", "buy"), [True, True], logits, truth, given)
        for t, one in enumerate(found):
            own = given if given.ndim == 1 else given[:, t]
            kept = own > 0
            assert (one.rows, one.positives) == (kept.sum(), truth[kept, t].sum())
            assert one.auc == pytest.approx(auc(logits[kept, t], truth[kept, t], own[kept]), abs=1e-14)
    nothing = measure("a", ("click", "buy"), [True, True], logits, truth, np.zeros(400))
    assert nothing == []


def psi(scores: Array, labels: Array, group: NDArray[np.int64], weights: Array | None) -> Array:
    owner, found = np.unique(group, return_inverse=True)[1], support(labels, group)
    return contributions(
        scores, labels, owner, int(owner.max()) + 1, found.positive_users, found.negative_users, weights
    )


def test_contributions_of_weighted_rows_are_those_of_repeated_ones() -> None:
    """A user's rows are drawn together, however often each of them is there."""
    scores, labels, group, weights = drawn(600)
    there = weights > 0
    arrays = [array[there] for array in (scores, labels, group)]
    found = psi(*arrays, weights[there])
    assert found == pytest.approx(psi(*repeated(weights, scores, labels, group), None), abs=1e-14)
    assert psi(*arrays, np.full(there.sum(), 0.7)) == pytest.approx(psi(*arrays, None), abs=1e-14)
    assert found.sum() == pytest.approx(0, abs=0.01)  # but for n / (n - 1) of the two classes


def test_the_error_of_a_weighted_auc_is_what_a_bootstrap_over_users_says() -> None:
    random = np.random.default_rng(3)
    scores, labels, group, _ = drawn(900, seed=2)
    weights = random.exponential(size=900) ** 2  # some rows count for very much
    found = []
    users = group.max() + 1
    for _ in range(1000):
        drawn_users = random.multinomial(users, np.full(users, 1 / users))[group] * weights
        kept = drawn_users > 0
        found.append(auc(scores[kept], labels[kept], drawn_users[kept]))
    assert np.sqrt((psi(scores, labels, group, weights) ** 2).sum()) == pytest.approx(np.std(found), rel=0.08)


def test_platt_is_weighted_logistic_regression() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, 4000)
    labels = (random.random(4000) < expit(0.5 * logits - 1)).astype(float)
    weights = np.where(logits > 0, 4.0, 1.0)
    found = calibrate("platt", Chances.of([logits]), labels, weights).as_dict()
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(logits[:, None], labels, sample_weight=weights)
    assert (found["a"], found["c"]) == pytest.approx((model.coef_[0, 0], model.intercept_[0]), abs=0.01)
    other = calibrate("platt", Chances.of([logits]), labels, weights * 1e-6).as_dict()
    assert (other["a"], other["c"]) == pytest.approx((found["a"], found["c"]), abs=1e-5)  # no unit of weight


@pytest.mark.parametrize("kind", KINDS)
def test_equal_weights_fit_the_same_map(kind: str) -> None:
    scores, labels, _, _ = drawn(800)
    one, two = (calibrate(kind, Chances.of([scores]), labels, w) for w in (None, np.full(800, 3.0)))
    assert one.probabilities(Chances.of([scores])) == pytest.approx(two.probabilities(Chances.of([scores])), abs=1e-7)


def test_an_isotonic_step_is_the_weighted_label_rate() -> None:
    logits = np.repeat(logit([0.2, 0.6]), 20)
    labels = np.tile([1.0, 0.0], 20)
    weights = np.where(labels > 0, 1.0, np.repeat([3.0, 1.0], 20))
    found = calibrate("isotonic", Chances.of([logits]), labels, weights)
    assert isinstance(found, Steps)
    assert found.calibrated == pytest.approx([0.25, 0.5], abs=0.02)


@pytest.mark.parametrize("kind", ["platt", "beta"])  # the lines of an isotonic map do not keep the mean exactly
def test_smoothing_gives_as_much_as_it_takes_however_unequal_the_classes_weigh(kind: str) -> None:
    """100 positives and 100 negatives that stand for 100 rows each: the rate is 1 in 101, not 2."""
    random = np.random.default_rng(0)
    labels = np.repeat([1.0, 0.0], 100)
    logits, weights = random.normal(size=200) + labels, np.where(labels > 0, 1.0, 100.0)
    found = calibrate(kind, Chances.of([logits]), labels, weights).probabilities(Chances.of([logits]))
    assert np.average(found, weights=weights) == pytest.approx(1 / 101, rel=0.05)
