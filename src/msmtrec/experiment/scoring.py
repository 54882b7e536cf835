"""Scores of kept models, for the test rows of a run and for raw rows later: one path, so that they are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.parameters import Parameters
from msmtrec.data.table import Layout, Rows
from msmtrec.experiment.encoders import kept_encoder
from msmtrec.experiment.threads import threads_set
from msmtrec.models import MODELS
from msmtrec.models.predict import predict
from msmtrec.record.directory import RESULTS, contender_folder, model_file, read_json
from msmtrec.record.models import ModelCard, load_model
from msmtrec.record.results import Results

THREADS = "threads"
"""Entry of scores.npz: how many computed it. Others may round otherwise in the last digit."""


def score(run: Path, contender: str, scenario: str, seed: int, frame: pl.DataFrame) -> NDArray[np.float32]:
    """[N, T] logits of raw rows by a finished run's model, which needs neither logs nor cache.

    The test rows, all of them and in the order of the log, get the bytes of `scores.npz` on the same machine; elsewhere
    and in other blocks the last digits may differ.

    Args:
        contender: a column of the result table.
        frame: the raw columns of the features (`kept_encoder(run, card).columns`); labels and group may be there.

    Raises:
        UserError: the run is not finished, has no such contender, scenario or seed, a file is damaged, or the rows
            cannot be encoded.
    """
    results = Results.from_dict(read_json(run / RESULTS))
    if contender not in results.cells:
        raise UserError(f"{run} has no contender '{contender}'; {nearest(contender, results.cells)}")
    folder = contender_folder(run, contender, results.chosen.get(contender, ""))
    path = model_file(folder, scenario, seed)
    if not path.exists():
        raise UserError(f"{folder} has no model of scenario '{scenario}' and seed {seed}; see {folder / 'models'}")
    parameters, card = load_model(path)
    encoder = kept_encoder(run, card)
    rows = encoder.encode(frame, scenario)
    with np.load(folder / "scores.npz") as scores:
        threads = int(scores[THREADS])
    with threads_set(threads):
        return logits_of(card, parameters, encoder.layout, rows).astype(np.float32)


def logits_of(card: ModelCard, parameters: Parameters, layout: Layout, rows: Rows) -> NDArray[np.float64]:
    """[N, T] logits of one model, in the blocks of `predict`.

    Raises:
        UserError: its network is unknown to this version.
    """
    network = str(card.network.get("name"))
    if network not in MODELS:
        raise UserError(f"the model of '{card.scenario}' is a '{network}', which msmtrec does not know; update it")
    model = MODELS[network].model_validate(dict(card.network)).build(layout)
    return predict(model, parameters, rows).double().numpy()


def computed_with() -> NDArray[np.int64]:
    """What `scores.npz` says of its threads."""
    return np.array(torch.get_num_threads(), np.int64)
