"""Every figure by hand, and against plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from msmtrec.evaluation.quality import BINS, calibration_error, gauc, quality


def test_gauc_by_hand() -> None:
    # user 1: .9 (up) over .1: AUC 1, 2 rows; user 2: .5 (up) ties with .5 and beats .2: AUC .75, 3 rows; 3 has no up
    scores = np.array([0.9, 0.1, 0.5, 0.5, 0.2, 0.7, 0.3])
    labels = np.array([1.0, 0, 1, 0, 0, 0, 0])
    group = np.array([1, 1, 2, 2, 2, 3, 3])
    assert gauc(scores, labels, group) == pytest.approx((2 * 1 + 3 * 0.75) / 5)


def test_gauc_is_the_mean_of_each_groups_auc_weighted_by_rows() -> None:
    random = np.random.default_rng(0)
    group, labels = random.integers(0, 40, 600), random.integers(0, 2, 600).astype(float)
    labels[group < 3] = 0
    scores = random.normal(size=600).round(1)  # ties
    each = {g: roc_auc_score(labels[group == g], scores[group == g]) for g in range(3, 40)}
    rows = [int((group == g).sum()) for g in each]
    assert gauc(scores, labels, group) == pytest.approx(np.average(list(each.values()), weights=rows))
    order = random.permutation(600)
    assert gauc(scores[order], labels[order], group[order]) == pytest.approx(gauc(scores, labels, group))
    one = np.zeros(600, np.int64)
    assert gauc(scores, labels, one) == pytest.approx(roc_auc_score(labels, scores))


def test_without_a_group_of_both_classes_there_is_no_gauc() -> None:
    assert math.isnan(gauc(np.array([0.1, 0.2]), np.array([0.0, 1.0]), np.array([1, 2])))
    assert math.isnan(gauc(np.empty(0), np.empty(0), np.empty(0, np.int64)))
    assert math.isnan(gauc(np.array([0.1, np.nan]), np.array([0.0, 1.0]), np.array([1, 1])))


def test_probabilities_by_hand() -> None:
    # p = .2, .2, .8 with labels 0, 1, 1
    found = quality(logit(np.array([0.2, 0.2, 0.8])), np.array([0.0, 1, 1]), np.array([1, 1, 1]))
    loss = -(math.log(0.8) + math.log(0.2) + math.log(0.8)) / 3
    assert found.log_loss == pytest.approx(loss)
    assert found.normalised_entropy == pytest.approx(loss / -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)))
    assert found.calibration == pytest.approx(1.2 / 2)
    assert found.ece == pytest.approx((abs(0.4 - 1) + abs(0.8 - 1)) / 3)  # the two of .2 share a bin
    assert found.gauc == pytest.approx(0.75)


def test_a_constant_at_the_label_rate_is_as_good_as_nothing_and_calibrated() -> None:
    labels = np.r_[np.ones(30), np.zeros(70)]
    found = quality(np.full(100, logit(0.3)), labels, np.arange(100) % 5)
    assert found.normalised_entropy == pytest.approx(1)
    assert found.calibration == pytest.approx(1)
    assert found.ece == pytest.approx(0, abs=1e-12)
    assert found.gauc == pytest.approx(0.5)


def test_the_calibration_error_is_taken_over_bins_of_equally_many_rows() -> None:
    rows = BINS * 10
    chances = np.linspace(0.1, 0.9, rows)
    labels = np.zeros(rows)
    assert calibration_error(chances, labels) == pytest.approx(0.5)
    labels = np.repeat(chances.reshape(BINS, 10).mean(1), 10)  # right in every bin, wrong within
    assert calibration_error(chances, labels) == pytest.approx(0, abs=1e-12)
    order = np.random.default_rng(1).permutation(rows)
    skewed = (chances > 0.5).astype(float)
    assert calibration_error(chances[order], skewed[order]) == pytest.approx(calibration_error(chances, skewed))


@pytest.mark.parametrize("labels", [[0.0, 0.0], [1.0, 1.0]])
def test_what_one_class_cannot_tell_is_nan(labels: list[float]) -> None:
    found = quality(np.array([0.3, -0.2]), np.array(labels), np.array([1, 1]))
    assert found.as_dict()["gauc"] is None
    assert found.as_dict()["normalised_entropy"] is None
    assert (found.as_dict()["calibration"] is None) == (labels[0] == 0)
    assert not math.isnan(found.ece)
