"""Settings of the local training and the rounds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from msmtrec.config.train import FineTune, TrainSettings


@pytest.mark.parametrize(
    ("every", "rounds", "seconds", "due"),
    [
        (3, 2, 1e6, False),
        (3, 3, 0.0, True),
        ("2.5 s", 100, 2.4, False),
        ("2.5 s", 1, 2.5, True),
        ("30s", 1, 31.0, True),
    ],
)
def test_a_checkpoint_is_due_after_rounds_or_after_seconds(
    every: int | str, rounds: int, seconds: float, due: bool
) -> None:
    assert TrainSettings(local_steps=1, checkpoint_every=every).checkpoint_due(rounds, seconds) is due


@pytest.mark.parametrize(
    ("kind", "option", "least", "below", "most", "above"),
    [
        (FineTune, "rounds", 1, 0, None, None),
        (FineTune, "patience", 1, 0, None, None),
        (FineTune, "learning_rate", 1e-9, 0, None, None),
        (TrainSettings, "rounds", 1, 0, None, None),
        (TrainSettings, "patience", 1, 0, None, None),
        (TrainSettings, "local_epochs", 1e-9, 0, None, None),
        (TrainSettings, "local_steps", 1, 0, None, None),
        (TrainSettings, "batch_size", 1, 0, None, None),
        (TrainSettings, "learning_rate", 1e-9, 0, None, None),
        (TrainSettings, "weight_decay", 0, -1e-9, None, None),
        (TrainSettings, "participation", 1e-9, 0, 1, 1.001),
        (TrainSettings, "max_staleness", 0, -1, None, None),
        (TrainSettings, "held_out_limit", 50, 49, None, None),
        (TrainSettings, "threads", 1, 0, None, None),
        (TrainSettings, "checkpoint_every", 1, 0, None, None),
        (TrainSettings, "checkpoint_every", "0.5 s", "0 s", None, None),
    ],
)
def test_settings_have_bounds(kind: Any, option: str, least: Any, below: Any, most: Any, above: Any) -> None:
    length = {} if kind is FineTune or option.startswith("local_") else {"local_steps": 1}
    for value in (least, most):
        assert value is None or getattr(kind(**length, **{option: value}), option) == value
    for value in (below, above):
        if value is not None:
            with pytest.raises(ValidationError, match=option):
                kind(**length, **{option: value})


def test_a_round_has_one_length() -> None:
    for length in ({}, {"local_steps": 1, "local_epochs": 1.0}):
        with pytest.raises(ValidationError, match="give either local_steps or local_epochs"):
            TrainSettings(**length)
