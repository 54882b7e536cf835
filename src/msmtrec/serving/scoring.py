"""Kept models as networks, for the test rows of a run and for raw rows later: one path, so that scores are the same."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.table import Layout, Rows
from msmtrec.models import MODELS
from msmtrec.models.base import Model
from msmtrec.models.beside import beside
from msmtrec.models.in_place import IN_PLACE, in_place
from msmtrec.models.parts import merged
from msmtrec.models.predict import predict
from msmtrec.record.directory import encoder_folder
from msmtrec.record.models import ModelCard

THREADS = "threads"
"""Entry of scores.npz: how many computed it. Others may round otherwise in the last digit."""


def network_of(card: ModelCard, layout: Layout) -> Model:
    """The network that a model's tensors belong to, for rows of this layout.

    Raises:
        UserError: it is unknown to this version.
    """
    network = str(card.network.get("name"))
    if network not in (*MODELS, *IN_PLACE):
        raise UserError(f"the model of '{card.scenario}' is a '{network}', which msmtrec does not know; update it")
    build = (
        MODELS[network].model_validate(dict(card.network)).build
        if network in MODELS
        else partial(in_place, name=network)
    )
    return beside(layout, build, card.statistics) if card.statistics else build(layout)


def served(card: ModelCard, parameters: Parameters, layout: Layout) -> tuple[Model, Parameters]:
    """What scores the scenario's rows, with everything computed that does not depend on them; errors as `network_of`.

    A residual of its own is added to the shared table once, so that there is one to keep and to look up.
    """
    if Role.RESIDUAL_EMBEDDING in card.roles.values():
        parameters = merged(parameters, card.network["residual_embeddings"])
        card = replace(card, network={**card.network, "residual_embeddings": 0.0})
    return network_of(card, layout).folded(parameters, layout.scenarios.index(card.scenario))


def logits_of(card: ModelCard, parameters: Parameters, layout: Layout, rows: Rows) -> NDArray[np.float64]:
    """[N, T] logits of one model, in the blocks of `predict`; errors as `network_of`."""
    model, found = served(card, parameters, layout)
    return predict(model, found, rows).double().numpy()


def kept_encoder(run: Path, card: ModelCard) -> Encoder:
    """The encoder that a model of the run was trained with.

    Raises:
        UserError: it is absent or damaged, or another one.
    """
    folder = encoder_folder(run, card.variant, card.table)
    encoder = Encoder.load(folder)
    if encoder.table != card.table:
        raise UserError(f"{folder} holds the encoder of '{encoder.table}', not of '{card.table}'; bring its own back")
    if encoder.fingerprint != card.fingerprint:
        raise UserError(
            f"{folder} belongs to other data than the model of '{card.scenario}' was trained on; bring its own back"
        )
    return encoder


def computed_with() -> NDArray[np.int64]:
    """What `scores.npz` says of its threads."""
    return np.array(torch.get_num_threads(), np.int64)
