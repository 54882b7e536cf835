import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from msmtrec.evaluation.metrics import auc, log_loss, mean_auc, measure


@pytest.mark.parametrize("digits", [1, 2, 8])  # few digits: many ties
def test_equal_to_scikit_learn(digits: int) -> None:
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=3000).round(digits), random.integers(0, 2, 3000).astype(float)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert log_loss(scores, labels) == pytest.approx(sklearn_log_loss(labels, 1 / (1 + np.exp(-scores))), abs=1e-9)


@pytest.mark.parametrize("rate", [0.03, 0.5, 0.97])  # whichever class is the rarer is looked up in the other
@pytest.mark.parametrize("digits", [0, 1, 8])
def test_pairs_are_counted_exactly(rate: float, digits: int) -> None:
    random = np.random.default_rng(1)
    labels = (random.random(500) < rate).astype(float)
    scores = (random.normal(size=500) + labels).round(digits)
    ups, downs = scores[labels == 1][:, None], scores[labels == 0]
    pairs = int(2 * (ups > downs).sum() + (ups == downs).sum())
    assert auc(scores, labels) == pairs / 2 / len(ups) / len(downs)


def test_float32_scores_are_measured_as_the_numbers_they_are() -> None:
    random = np.random.default_rng(2)
    logits, labels = random.normal(size=(400, 1)).astype(np.float32), random.integers(0, 2, (400, 1)).astype(float)
    narrow, wide = (measure("a", ("click",), [True], x, labels)[0] for x in (logits, logits.astype(np.float64)))
    assert narrow == wide


def test_one_class_is_missing_never_a_half() -> None:
    assert np.isnan(auc(np.arange(3.0), np.ones(3)))
    assert np.isnan(auc(np.array([0.1, np.nan]), np.array([0.0, 1.0])))


def test_a_log_loss_needs_rows_and_finite_logits() -> None:
    assert log_loss(np.zeros(2), np.array([0.0, 1.0])) == pytest.approx(np.log(2))
    for logits in (np.zeros(0), np.array([0.0, np.inf]), np.array([np.nan, 0.0])):
        assert np.isnan(log_loss(logits, np.zeros(len(logits))))


def test_a_task_without_a_label_is_not_measured() -> None:
    labels = np.array([[np.nan, 1.0], [np.nan, 0.0]])
    found = measure("a", ("click", "buy"), [True, True], np.array([[0.0, 2.0], [0.0, -2.0]]), labels)
    assert [(m.task, m.auc, m.rows, m.positives) for m in found] == [("buy", 1.0, 2, 1)]
    assert found[0].log_loss == pytest.approx(np.log1p(np.exp(-2)))


def test_missing_labels_and_tasks_are_left_out() -> None:
    logits = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    labels = np.array([[0.0, 1.0], [1.0, 0.0], [np.nan, 1.0]])
    found = measure("a", ("click", "buy"), [True, False], logits, labels)
    assert [(m.task, m.auc, m.rows, m.positives) for m in found] == [("click", 1.0, 2, 1)]
    assert mean_auc(found) == 1.0
    assert np.isnan(mean_auc([]))
    assert measure("a", ("click",), [True], logits[:1], labels[:1])[0].as_dict()["auc"] is None
