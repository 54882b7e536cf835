"""From the rates of kept rows to those of all rows: by hand, against the rows that were left out, and calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.evaluation.calibration import KINDS, Chances, calibrate
from msmtrec.evaluation.metrics import auc, log_loss
from msmtrec.evaluation.quality import quality
from msmtrec.evaluation.sampled import Sampled, row_weights


def schema(*tasks: Task) -> Schema:
    return Schema("sampled", (Feature("x"),), tasks, {"a": tuple(task.name for task in tasks)})


CLICK = Task("click", negatives_kept=0.1)
CHAIN = schema(CLICK, Task("buy", within="click"), Task("keep", within="buy"), Task("like"))


def test_which_task_decided() -> None:
    assert Sampled.of(schema(Task("click"), Task("buy", within="click"))) is None
    found = Sampled.of(CHAIN)
    assert found == Sampled((0.1, 0.1, 0.1, 1.0), (0, 0, 0, None))
    given = schema(CLICK, Task("buy", within="click", conditional=True))
    assert Sampled.of(given) == Sampled((0.1, 1.0), (0, None))


def test_by_hand() -> None:
    found = Sampled.of(CHAIN)
    assert found is not None
    logits = logit(np.array([[0.5, 0.25, 0.1, 0.3]]))
    # of 10 kept rows 5 are clicked; the other 5 stand for 50: 55 rows, 5 clicks, 2.5 bought, 1 kept
    assert expit(found.corrected(logits)) == pytest.approx(np.array([[5 / 55, 2.5 / 55, 1 / 55, 0.3]]))
    assert found.corrected(logits)[0, 0] == logits[0, 0] + np.log(0.1)
    labels = np.array([[0.0, 0, 0, 1], [1, 0, np.nan, 0], [np.nan, 0, 0, 0]])
    assert found.weights(labels).tolist() == [[10, 10, 10, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert row_weights(None, labels, None) is None
    assert row_weights(np.array([2.0, 3, 0]), labels, found)[:, 0].tolist() == [20, 3, 0]  # type: ignore[index]


def test_a_probability_stays_one_and_is_exact_far_out() -> None:
    found = Sampled.of(schema(CLICK, Task("buy", within="click")))
    assert found is not None
    far = np.array([[60.0, 60.0], [-60.0, -60.0], [-60.0, 60.0], [0.0, -60.0]])
    got = found.corrected(far)
    assert np.isfinite(got).all()
    assert got[0, 1] == pytest.approx(60 + np.log(0.1), abs=1e-9)  # both nearly sure
    assert got[1, 1] == pytest.approx(-60 + np.log(0.1), abs=1e-9)
    assert got[3, 1] == pytest.approx(-60 - np.log(0.5 + 0.5 / 0.1), abs=1e-9)


@pytest.fixture(scope="module")
def world() -> dict[str, np.ndarray]:
    """All rows with what is true of them; which were kept; and what a perfect network says of those kept."""
    random, rows, kept = np.random.default_rng(0), 400_000, 0.1
    x = random.normal(size=rows)
    click, given = expit(x - 3), expit(0.5 * x - 1)
    clicked = random.random(rows) < click
    bought = clicked & (random.random(rows) < given)
    there = clicked | (random.random(rows) < kept)
    among = click / (click + (1 - click) * kept)
    return {
        "true": np.stack([click, click * given], 1),
        "labels": np.stack([clicked, bought], 1).astype(float),
        "kept": there,
        "logits": logit(np.stack([among, among * given], 1)),
    }


def test_the_rates_of_all_rows_come_back(world: dict[str, np.ndarray]) -> None:
    """Of the task that decided, and of the one within it, exactly."""
    found = Sampled.of(schema(CLICK, Task("buy", within="click")))
    assert found is not None
    assert np.allclose(expit(found.corrected(world["logits"])), world["true"], rtol=1e-9, atol=0)
    plain = expit(world["logits"][:, 1] + np.log(0.1))  # what the rule for the outer task would make of the inner one
    assert plain.mean() < 0.8 * world["true"][:, 1].mean()


def test_figures_of_kept_rows_are_those_of_all_rows(world: dict[str, np.ndarray]) -> None:
    found = Sampled.of(schema(CLICK, Task("buy", within="click")))
    assert found is not None
    logits, kept = found.corrected(world["logits"]), world["kept"]
    weights = found.weights(world["labels"][kept])
    for task in range(2):
        truth, group = world["labels"][:, task], np.zeros(len(kept), np.int64)
        whole = quality(logits[:, task], truth, group)
        some = quality(logits[kept, task], truth[kept], group[kept], weights[:, task])
        assert some.log_loss == pytest.approx(whole.log_loss, rel=0.02)
        assert some.calibration == pytest.approx(1, abs=0.03)
        assert some.calibration == pytest.approx(whole.calibration, rel=0.03)
        area = auc(logits[kept, task], truth[kept], weights[:, task])
        assert area == pytest.approx(auc(logits[:, task], truth), abs=0.01)
    clicks, scores = world["labels"][kept, 0], world["logits"][kept, 0]
    assert auc(logits[kept, 0], clicks, weights[:, 0]) == pytest.approx(auc(scores, clicks), abs=1e-9)  # unchanged
    assert log_loss(scores, clicks) > 2 * log_loss(logits[kept, 0], clicks, weights[:, 0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", [0, 1])
def test_a_calibration_means_the_rate_of_all_rows(world: dict[str, np.ndarray], kind: str, task: int) -> None:
    """Fitted on kept rows of a network that is too sure and too high, it gives what is true of all rows."""
    found = Sampled.of(schema(CLICK, Task("buy", within="click")))
    assert found is not None
    logits, kept = found.corrected(1.5 * world["logits"] + 0.5), world["kept"]
    first = np.arange(len(kept)) < len(kept) // 2
    weights = found.weights(world["labels"][kept & first])[:, task]
    fitted = calibrate(kind, Chances.of([logits[kept & first, task]]), world["labels"][kept & first, task], weights)
    mean = fitted.probabilities(Chances.of([logits[~first, task]])).mean()
    rate = world["labels"][~first, task].mean()
    error = np.sqrt(2 * rate / (~first).sum() + 1 / world["labels"][first, task].sum() * rate**2)  # of either half
    assert abs(mean - rate) < 4 * error
    assert abs(expit(logits[~first, task]).mean() - rate) > 8 * error  # it was wrong before
