"""Rows that start from a logit: in training, in predictions and on held-out rows the network's own is added to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from federation.test_held_out import offer, plain_losses, respond, state_and_consensus
from federation.test_stack import CPU, SMALL, even, train
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck
from msmtrec.methods.phases import MODEL
from msmtrec.models.predict import Weights, predict, predict_each

SHIFT = np.array([0.7, -1.3], np.float32)


def started(data: EncodedData, offset: NDArray[np.float32]) -> EncodedData:
    """Every row of it with the same logits to start from. offset [T]"""
    whole = {s: replace(rows, offset=np.tile(offset, (len(rows), 1))) for s, rows in data.whole.items()}
    tables = {
        name: replace(
            table, splits={s: replace(r, offset=np.tile(offset, (len(r), 1))) for s, r in table.splits.items()}
        )
        for name, table in data.tables.items()
    }
    return replace(data, whole=whole, tables=tables)


def test_training_from_a_shift_is_training_of_shifted_biases(synthetic: EncodedData) -> None:
    model, shifted = SMALL.build(synthetic.layout), started(synthetic, SHIFT)
    deck, other = Deck(synthetic, torch.float64, CPU), Deck(shifted, torch.float64, CPU)
    assert deck.offset is None
    work = even(synthetic, model, deck, 6)
    biased = [
        replace(
            job,
            memory=job.memory.put(
                {MODEL: {"tower.0.bias": job.memory.model["tower.0.bias"] + torch.tensor(SHIFT).double().unsqueeze(1)}}
            ),
        )
        for job in work
    ]
    one, two = train(model, biased, deck, 1e-2), train(model, work, other, 1e-2)
    for member, trained in one.items():
        for name, value in trained.memory.model.items():
            moved = two[member].memory.model[name]
            moved = moved + torch.tensor(SHIFT).double().unsqueeze(1) if name == "tower.0.bias" else moved
            assert (value - moved).abs().max() < 1e-7, name
    plain = train(model, work, deck, 1e-2)
    member = work[0].member
    assert (plain[member].memory.model["gate"] - two[member].memory.model["gate"]).abs().max() > 1e-6


def test_predictions_are_added_to_it(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, parameters, _ = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    random = np.random.default_rng(0).normal(size=rows.labels.shape).astype(np.float32)
    found = predict(model, parameters, replace(rows, offset=random))
    np.testing.assert_allclose(found - torch.from_numpy(random), predict(model, parameters, rows), atol=1e-12)
    both = [replace(rows, offset=random), replace(rows.take(slice(0, 20)), offset=random[:20])]
    again = predict_each(model, [Weights(parameters)] * 2, both, block=50)
    np.testing.assert_allclose(again[0], found, atol=1e-12)
    np.testing.assert_allclose(again[1], found[:20], atol=1e-12)
    with pytest.raises(AssertionError, match="others have none"):
        predict_each(model, [Weights(parameters)] * 2, [both[0], rows])


def test_mixtures_are_measured_on_top_of_it(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, parameters, other = state_and_consensus(synthetic, name)
    rows = started(synthetic, 4 * SHIFT).tables[name].splits["validation"]
    mixed, _, answer = respond(model, offer(model, other), parameters, rows, [True, True])
    losses = plain_losses(model, parameters | mixed, rows)
    assert answer.loss_mixed["towers"] == pytest.approx(losses, abs=1e-9)
    without = respond(model, offer(model, other), parameters, replace(rows, offset=None), [True, True])[2]
    assert without.loss_own["experts"] != pytest.approx(answer.loss_own["experts"], abs=1e-3)
