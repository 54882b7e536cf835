"""Settings of the local training and the rounds."""

from __future__ import annotations

import pytest

from msmtrec.config.train import TrainSettings


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
