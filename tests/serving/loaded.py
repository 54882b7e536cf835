"""Scores of raw rows, as scores.npz has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import msmtrec
from msmtrec.record.directory import contender_folder
from msmtrec.runtime.threads import threads_set
from msmtrec.serving.scoring import THREADS


def scores(run: Path, contender: str, scenario: str, seed: int, frame: pl.DataFrame) -> NDArray[np.float32]:
    """[N, T] logits, by as many threads as computed the test rows."""
    finished = msmtrec.load(run)
    chosen = finished.results.chosen.get(contender, "")
    with np.load(contender_folder(run, contender, chosen) / "scores.npz") as kept:
        threads = int(kept[THREADS])
    with threads_set(threads):
        (logits,) = finished.predictor(scenario, contender=contender, seed=seed).logits(frame)
    return logits.astype(np.float32)
