"""A layout with every kind of field, rows for it, and what every network must do on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES
from msmtrec.data.table import Field, Layout, Rows
from msmtrec.models.base import Model, Pass
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.base import ModelSettings

LAYOUT = Layout(
    (
        Field("user", 0, 1, False),
        Field("tags", 1, 3, False),
        Field("bought", 4, 2, False, attends="user"),
        Field("item", 6, 1, True),
        Field("seen", 7, 3, True, attends="item"),
        Field("liked", 10, 2, True, attends="item"),
    ),
    4,
    11,
    ("click", "like"),
    scenarios=("a", "b", "c"),
    within=(-1, 0),
)
PRIVATE_ROWS = 17


def rows(N: int, seed: int = 0) -> Rows:
    """Rows of three scenarios, mixed as in a pooled table."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, 11, size=(N, 12)).astype(np.int32)
    ids[::2, 3] = ids[::2, 9] = -1
    ids[::3, 2:4] = ids[::3, 8:10] = ids[1::3, 11] = ids[::5, 5] = -1
    return Rows(
        ids,
        random.normal(size=(N, 4)).astype(np.float32),
        random.integers(0, 2, size=(N, 2)).astype(np.float32),
        np.arange(N),
        scenario=random.integers(0, 3, size=N),
    )


def scrambled(settings: ModelSettings, layout: Layout = LAYOUT):  # type: ignore[no-untyped-def]
    """A model and parameters with no ones or zeros left, so that every factor matters."""
    model = settings.build(layout)
    params = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    generator = torch.Generator().manual_seed(1)
    moved = {n: p + 0.3 * torch.randn(p.shape, dtype=p.dtype, generator=generator) for n, p in params.items()}
    return model, {n: p.abs() + 0.1 if n.endswith("variance") else p for n, p in moved.items()}


def gradients(
    model: Model, params: Mapping[str, Tensor], data: Rows, training: bool = True, of: int | None = None
) -> tuple[Parameters, Pass]:
    """Of the sum of squared logits, or of one task's, and the pass that gave them; buffers are no leaves."""
    trained = [d.name for d in model.declare() if d.trained]
    leaves = {n: params[n].clone().requires_grad_() for n in trained}
    with torch.enable_grad():
        stacked = Stacked(model, [Weights({**params, **leaves})])
        forward = Pass(stacked.batch([data]), training=training)
        logits = model.forward(stacked.parameters, forward)
        found = torch.autograd.grad(
            (logits if of is None else logits[:, :, of]).square().sum(), list(leaves.values()), allow_unused=True
        )
    return {n: torch.zeros_like(params[n]) if g is None else g for n, g in zip(trained, found, strict=True)}, forward


def depends_on_the_batch(model: Model, params: Mapping[str, Tensor], data: Rows) -> float:
    """The largest difference between a row's logits among others and alone."""
    whole = predict(model, params, data)
    alone = torch.cat([predict(model, params, data.take(slice(i, i + 1))) for i in range(len(data))])
    return float((whole - alone).abs().max())


def unread(model: Model, found: Mapping[str, Tensor]) -> list[str]:
    """Parameters of which a unit, a slice of the first axis, gets no gradient; tables and vectors count whole."""
    silent = []
    for d in model.declare():
        if d.trained:
            each = found[d.name].reshape(len(found[d.name]), -1).abs().amax(1)
            if (each.max() if d.role in TABLES or len(d.shape) == 1 else each.min()) == 0:
                silent.append(d.name)
    return silent
