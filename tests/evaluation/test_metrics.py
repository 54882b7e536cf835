import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from msmtrec.evaluation.compare import bootstrap_auc, draw_users, holm, interval, paired_over_seeds
from msmtrec.evaluation.metrics import auc, log_loss, mean_auc, measure


@pytest.mark.parametrize("digits", [1, 2, 8])  # few digits: many ties
def test_equal_to_scikit_learn(digits: int) -> None:
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=3000).round(digits), random.integers(0, 2, 3000).astype(float)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert log_loss(scores, labels) == pytest.approx(sklearn_log_loss(labels, 1 / (1 + np.exp(-scores))), abs=1e-9)


def test_one_class_is_missing_never_a_half() -> None:
    assert np.isnan(auc(np.arange(3.0), np.ones(3)))
    assert np.isnan(auc(np.array([0.1, np.nan]), np.array([0.0, 1.0])))


def test_missing_labels_and_tasks_are_left_out() -> None:
    logits = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    labels = np.array([[0.0, 1.0], [1.0, 0.0], [np.nan, 1.0]])
    found = measure("a", ("click", "buy"), [True, False], logits, labels)
    assert [(m.task, m.auc, m.rows, m.positives) for m in found] == [("click", 1.0, 2, 1)]
    assert mean_auc(found) == 1.0
    assert np.isnan(mean_auc([]))
    assert measure("a", ("click",), [True], logits[:1], labels[:1])[0].as_dict()["auc"] is None


def test_paired_by_hand() -> None:
    found = paired_over_seeds(np.array([2.0, 4.0, 6.0, np.nan]), np.array([1.0, 2.0, 3.0, 0.0]))
    assert (found.mean, found.sd, found.pairs) == (2.0, 1.0, 3)
    assert found.p_value == pytest.approx(0.0742, abs=1e-4)  # t = 2·sqrt(3), two degrees of freedom
    assert np.isnan(paired_over_seeds(np.ones(1), np.zeros(1)).p_value)


def test_bootstrap_counts_rows_as_often_as_their_user() -> None:
    random = np.random.default_rng(1)
    users = random.integers(0, 20, 400)
    labels = random.integers(0, 2, 400).astype(float)
    scores = (random.normal(size=400) + labels).round(1)
    draws, known = draw_users(users, 5, seed=0)
    owner = np.searchsorted(known, users)
    found = bootstrap_auc([scores, -scores], labels, draws, owner)
    for b in range(5):
        weight = draws[b][owner]
        expected = roc_auc_score(np.repeat(labels, weight), np.repeat(scores, weight))
        assert found[b] == pytest.approx((expected + 1 - expected) / 2)
        assert bootstrap_auc([scores], labels, draws[b : b + 1], owner)[0] == pytest.approx(expected)


def test_interval_of_a_clear_and_of_no_difference() -> None:
    random = np.random.default_rng(2)
    clear, none = interval(random.normal(1, 0.1, 400), 1.0), interval(random.normal(0, 1, 400), 0.0)
    assert clear.low > 0
    assert clear.p_value < 0.01
    assert none.low < 0 < none.high
    assert none.p_value == 1.0
    assert interval(np.array([-1.0, 1.0] * 200), 1.96).p_value == pytest.approx(0.05, abs=1e-3)


def test_holm_by_hand() -> None:
    # sorted .01, .02, .03 of three known: 3 · .01, 2 · .02, 1 · .03, never falling
    assert holm([0.03, float("nan"), 0.01, 0.02]) == pytest.approx([0.04, np.nan, 0.03, 0.04], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
