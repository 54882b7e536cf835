"""The true probabilities and the AUC that no model can beat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msmtrec.evaluation.metrics import auc
from msmtrec.experiment.run import run
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.logs.synthetic.bayes import Meter, bayes


def meter(probability: list[float], labels: list[float]) -> Meter:
    found = Meter()
    found.add(np.array(probability), np.array(labels))
    return found


def test_two_rows_by_hand() -> None:
    best = meter([0.8, 0.3], [1, 0]).best()
    assert best.rows == 2
    assert best.rate == pytest.approx(0.55)
    assert best.auc == 1
    # the first alone positive: .8 · .7; the second alone: .2 · .3
    assert best.expected_auc == pytest.approx(0.56 / 0.62)


def test_without_signal_nothing_can_be_known() -> None:
    truth = Synthetic(rows=400, signal=0).truth()
    assert truth.mean() == pytest.approx(0.5)
    assert np.isnan(meter([0.5, 0.5], [1, 1]).best().auc)
    assert meter([0.5], [1]).best().as_dict()["expected_auc"] is None


def test_binned_aucs_equal_exact_ones() -> None:
    rows = Synthetic(scenarios=1, rows=20_000).drawn()
    chunks = list(rows.scored())
    for task, (probability, labels) in chunks[0][1].items():
        assert len(labels) == 3000
        best = bayes(chunks).cells["scenario-0", task]
        assert best.auc == pytest.approx(auc(probability, labels), abs=1e-5)
        redrawn = np.random.default_rng(0).random((300, len(labels))) < probability
        assert best.expected_auc == pytest.approx(np.mean([auc(probability, y) for y in redrawn]), abs=2e-3)
        assert best.rate == pytest.approx(probability.mean())


@pytest.mark.parametrize("shape", ["small", "aliexpress"])
def test_labels_are_drawn_with_the_true_probabilities(shape: str) -> None:
    rows = Synthetic(scenarios=1, rows=60_000, shape=shape, noise=0.1).drawn()  # type: ignore[arg-type]
    frame, click, conversion = rows.draw(next(rows.pieces(0)))
    for ours, theirs in zip(rows.truth.probabilities(frame, 0), (click, conversion), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)  # of a frame as of the draw itself
    for probability, label in ((click, "click"), (click * conversion, "conversion")):
        order = np.argsort(probability).reshape(10, -1)
        expected, found = probability[order].mean(1), frame[label].to_numpy()[order].mean(1)
        np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(0.25 / order.shape[1]))
        assert expected[-1] - expected[0] > 0.3


def test_preferences_are_standardised_and_share_what_the_knob_says() -> None:
    rows = Synthetic(scenarios=2, rows=100_000, concept_shift=0.36).drawn()
    frame = rows.draw(next(rows.pieces(0)))[0]
    for ours, theirs in zip(rows.truth.preferences(frame, 0), rows.truth.preferences(frame, 1), strict=True):
        assert ours.mean() == pytest.approx(0, abs=0.05)
        assert ours.std() == pytest.approx(1, abs=0.05)
        assert np.corrcoef(ours, theirs)[0, 1] == pytest.approx(0.64, abs=0.1)


def test_local_training_learns_but_does_not_beat_the_truth(tmp_path: Path) -> None:
    data = {"source": "synthetic", "scenarios": 2}
    train = {"rounds": 3, "local_steps": 30, "batch_size": 128, "learning_rate": 0.01}
    config = {"data": data, "train": train, "methods": ["local"], "seeds": 1}
    mean = run(config, out=tmp_path / "run", caution=lambda text: None).results.cells["local"][-1].mean
    assert 0.65 < mean < Synthetic(scenarios=2).truth().mean() - 0.02, mean
