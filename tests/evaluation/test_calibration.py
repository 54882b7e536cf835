"""Maps from probability to label rate: by hand, against scikit-learn, and what holds of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from msmtrec.evaluation.calibration import KINDS, Chances, Logistic, Steps, calibrate, too_few
from msmtrec.evaluation.metrics import auc
from msmtrec.evaluation.reliability import Reliability


def drawn(rows: int, slope: float = 0.5, shift: float = -1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too steep by 1 / slope and too high by -shift, and labels."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, rows)
    return logits, (random.random(rows) < expit(slope * logits + shift)).astype(np.float32)


def targets(labels: np.ndarray) -> tuple[float, float]:
    ups, downs = labels.sum(), (1 - labels).sum()
    return (ups + 1) / (ups + 2), 1 / (downs + 2)


def weighted(inputs: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """On Platt's targets: every row counts in part as a positive, in part as a negative."""
    up, down = targets(labels)
    part = np.where(labels > 0.5, up, down)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    twice = np.vstack([inputs, inputs])
    return model.fit(twice, np.repeat([1, 0], len(labels)), sample_weight=np.r_[part, 1 - part])


def test_chances_are_the_mean_probability_and_exact_near_one() -> None:
    found = Chances.of([np.array([0.0, 40.0]), np.array([np.log(3), 40.0])])
    assert np.exp(found.log_p) == pytest.approx([(0.5 + 0.75) / 2, 1])
    assert np.exp(found.log_q) == pytest.approx([(0.5 + 0.25) / 2, np.exp(-40)])
    assert found.logits[1] == pytest.approx(40, abs=1e-9)


def test_platt_is_logistic_regression_on_the_logit() -> None:
    logits, labels = drawn(4000)
    found = calibrate("platt", Chances.of([logits]), labels)
    assert isinstance(found, Logistic)
    wanted = weighted(logits[:, None], labels)
    assert found.a == found.b == pytest.approx(wanted.coef_[0, 0], abs=1e-5)
    assert found.c == pytest.approx(wanted.intercept_[0], abs=1e-5)
    assert (found.a, found.c) == pytest.approx((0.5, -1.0), abs=0.1)


def test_beta_is_logistic_regression_on_both_logarithms() -> None:
    logits, labels = drawn(4000)
    found = calibrate("beta", Chances.of([logits]), labels)
    assert isinstance(found, Logistic)
    p = expit(logits)
    wanted = weighted(np.stack([np.log(p), -np.log(1 - p)], 1), labels)
    assert (found.a, found.b) == pytest.approx(tuple(wanted.coef_[0]), abs=1e-4)
    assert found.c == pytest.approx(wanted.intercept_[0], abs=1e-4)


def test_a_slope_that_would_fall_is_nought_and_the_others_are_the_best_beside_it() -> None:
    logits, _ = drawn(4000)
    p = expit(logits)
    inputs = np.stack([np.log(p), -np.log(1 - p)], 1)
    labels = (np.random.default_rng(1).random(4000) < expit(inputs @ [2, -1] + 2)).astype(np.float32)
    assert weighted(inputs, labels).coef_.min() < 0
    found = calibrate("beta", Chances.of([logits]), labels)
    assert isinstance(found, Logistic)
    assert min(found.a, found.b) == 0
    up, down = targets(labels)
    part = np.where(labels > 0.5, up, down)

    def loss(w: np.ndarray) -> float:
        z = inputs @ w[:2] + w[2]
        return float((np.logaddexp(0, z) - part * z).mean())

    wanted = minimize(loss, [1.0, 1.0, 0.0], method="SLSQP", bounds=[(0, None)] * 2 + [(None, None)], tol=1e-12)
    assert loss(np.array([found.a, found.b, found.c])) <= wanted.fun + 1e-9


def test_a_ranking_the_wrong_way_round_is_levelled_not_turned() -> None:
    logits, labels = drawn(2000)
    for kind in KINDS:
        found = calibrate(kind, Chances.of([-logits]), labels).logits(Chances.of([np.array([-3.0, 0.0, 3.0])]))
        assert np.ptp(found) < 1e-3, kind
        assert expit(found[0]) == pytest.approx(labels.mean(), abs=1e-3)


def test_isotonic_by_hand() -> None:
    """Three groups of ten rows; the first two are the wrong way round and become one step."""
    p = np.repeat([0.2, 0.4, 0.6], 10)
    labels = np.r_[np.repeat([1.0, 0.0], [5, 5]), np.repeat([1.0, 0.0], [3, 7]), np.repeat([1.0, 0.0], [9, 1])]
    up, down = targets(labels)  # 17 positives, 13 negatives
    assert (up, down) == (18 / 19, 1 / 15)
    found = calibrate("isotonic", Chances.of([logit(p)]), labels)
    assert isinstance(found, Steps)
    low, high = (8 * up + 12 * down) / 20, (9 * up + down) / 10
    assert found.p == pytest.approx([0.3, 0.6])
    assert found.calibrated == pytest.approx([low, high])
    got = found.probabilities(Chances.of([logit(np.array([0.01, 0.3, 0.45, 0.6, 0.99]))]))
    assert got == pytest.approx([low, low, (low + high) / 2, high, high])


def test_isotonic_with_many_rows_has_few_steps() -> None:
    logits, labels = drawn(50_000)
    found = calibrate("isotonic", Chances.of([logits]), labels)
    assert isinstance(found, Steps)
    assert 10 < len(found.p) <= 100
    assert (np.diff(found.p) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_right_where_it_was_wrong_and_keeps_the_order(kind: str) -> None:
    logits, labels = drawn(20_000)
    found = calibrate(kind, Chances.of([logits]), labels)
    fresh, truth = drawn(20_000, seed=7)
    before, after = Reliability.of(fresh, truth), Reliability.of(found.logits(Chances.of([fresh])), truth)
    assert before.calibration > 1.4
    assert after.calibration == pytest.approx(1, abs=0.04)
    assert after.ece < 0.016 < 0.1 < before.ece
    assert after.log_loss < before.log_loss - 0.05
    assert after.auc == pytest.approx(before.auc, abs=2e-3 if kind == "isotonic" else 1e-12)
    line = np.sort(fresh)
    assert (np.diff(found.logits(Chances.of([line]))) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_never_says_never(kind: str) -> None:
    """Classes that are apart: without Platt's targets the slope has no bound and steps reach 0 and 1."""
    logits = np.r_[np.linspace(-9, -8, 20), np.linspace(8, 9, 20)]
    labels = np.repeat([0.0, 1.0], 20)
    found = calibrate(kind, Chances.of([logits]), labels)
    got = found.probabilities(Chances.of([logits]))
    assert got.min() == pytest.approx(1 / 22, abs=0.03)
    assert got.max() == pytest.approx(21 / 22, abs=0.03)
    assert 0 < got.min() < got.max() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_rows_says_nothing(kind: str) -> None:
    logits, labels = drawn(500)
    orders = np.arange(500), np.random.default_rng(2).permutation(500)
    one, two = (calibrate(kind, Chances.of([logits[o]]), labels[o]).logits(Chances.of([logits])) for o in orders)
    assert one == pytest.approx(two, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_always_says_the_same_gets_the_label_rate(kind: str) -> None:
    labels = np.repeat([1.0, 0.0], [30, 70])
    found = calibrate(kind, Chances.of([np.full(100, 2.0)]), labels)
    assert found.probabilities(Chances.of([np.array([-1.0, 2.0, 2.5])])) == pytest.approx(np.full(3, 0.3), abs=0.01)


def test_too_few_of_a_class() -> None:
    labels = np.repeat([1.0, 0.0], [9, 50])
    assert too_few(labels) == "9 positives"
    assert too_few(1 - labels) == "9 negatives"
    assert too_few(np.zeros(5)) == "0 positives"
    assert too_few(np.repeat([1.0, 0.0], [10, 10])) == ""
    with pytest.raises(ValueError, match="needs 10 rows of either class, not 9 positives"):
        calibrate("platt", Chances.of([np.zeros(59)]), labels)
    with pytest.raises(ValueError, match="NaN, 0 or 1"):
        calibrate("platt", Chances.of([np.full(20, np.nan)]), np.repeat([1.0, 0.0], [10, 10]))


def test_reliability_by_hand() -> None:
    p = np.repeat([0.25, 0.75], 20)
    labels = np.r_[np.repeat([1.0, 0.0], [10, 10]), np.repeat([1.0, 0.0], [18, 2])]
    found = Reliability.of(logit(p), labels)
    assert found.points == (pytest.approx((0.25, 0.5, 20)), pytest.approx((0.75, 0.9, 20)))
    assert found.calibration == pytest.approx(20 / 28)
    assert found.ece == pytest.approx((0.25 + 0.15) / 2)
    assert found.auc == pytest.approx(auc(p, labels))
    none = Reliability.of(np.full(3, np.nan), np.ones(3))
    assert (none.points, none.auc, none.log_loss) == ((), None, None)
