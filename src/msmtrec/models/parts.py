"""What networks have in common: the input they read, and a tower per task. Declarations beside the tensors' use."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from msmtrec.base.parameters import Declaration, Init, Parameters
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Pass
from msmtrec.models.folding import Folded, Folding, counts
from msmtrec.models.layers import next_layer, pooled
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.tails import Tail, declare_norm

PRIVATE, SHARED, RESIDUAL = "embedding", "shared_embedding", "residual_embedding"


class Inputs:
    """The fields' embeddings and the numerics, side by side: [K, B, `width`].

    Tables are `embedding` (a scenario's own ids) and `shared_embedding` (ids that scenarios agreed on), to whose rows
    `residual` times those of `residual_embedding` are added, which start as zeros. `attention` has a matrix per field
    whose values are weighed by another field.
    """

    def __init__(self, layout: Layout, settings: ModelSettings) -> None:
        self.layout = layout
        self.embedding_dim, self.residual = settings.embedding_dim, settings.residual_embeddings
        self.width = len(layout.fields) * self.embedding_dim + layout.numeric
        self.private = tuple(field for field in layout.fields if not field.shared)
        self.shared = tuple(field for field in layout.fields if field.shared)
        self.numbers = [[n for n, field in enumerate(layout.fields) if field.shared is kind] for kind in (False, True)]
        self.attending = tuple(field.name for field in layout.fields if field.attends)

    def declare(self) -> list[Declaration]:
        d = self.embedding_dim
        found = self._tables(d)
        if self.attending:
            found.append(Declaration("attention", Role.ATTENTION, (len(self.attending), d, d), "identity"))
        return found

    def _tables(self, width: int) -> list[Declaration]:
        """width: of a row."""
        found = []
        if self.private:
            found.append(Declaration(PRIVATE, Role.EMBEDDING, (None, width), "embedding"))
        if self.shared:
            shape = (self.layout.shared_rows, width)
            found.append(Declaration(SHARED, Role.SHARED_EMBEDDING, shape, "embedding"))
            if self.residual:
                found.append(Declaration(RESIDUAL, Role.RESIDUAL_EMBEDDING, shape, "zeros"))
        return found

    def read(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """[K, B, width]"""
        numeric = batch.numeric[:, :, : self.layout.numeric] if self.layout.shares else batch.numeric
        pieces, _ = self._looked_up(parameters, batch, None)
        return torch.cat([*pieces, numeric], -1)

    def read_folded(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        """The same, with the fields that the batch folds not yet multiplied out."""
        if batch.folding is None:
            return self.read(parameters, batch)
        others, values = self._looked_up(parameters, batch, batch.folding)
        x = torch.cat([counts(self.layout, batch.folding, batch), *(piece.transpose(1, 2) for piece in others)], 1)
        return Folded(self.layout, batch.folding, torch.cat(values, 1) if len(values) > 1 else values[0], x)

    def _looked_up(
        self, parameters: Mapping[str, Tensor], batch: Batch, folding: Folding | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Each table is asked once: [K, B, ·] of the fields that are not folded, [K, S, d] of the values of the folded.

        A second look would cost a second gradient as large as the table.
        """
        weights = parameters["attention"].unbind(1) if self.attending else ()  # each [K, d, d]
        attention = dict(zip(self.attending, weights, strict=True))
        pieces, values = [], []
        for shared, ids, fields, first in (
            (False, batch.private_ids, self.private, 0),
            (True, batch.shared_ids, self.shared, self.layout.private_columns),
        ):
            if not fields:
                continue
            kept = fields
            if folding is not None:
                own = self.numbers[shared]
                kept = tuple(self.layout.fields[n] for n in own if n not in folding.fields)
            if len(kept) < len(fields):
                ids = ids[:, :, [field.start - first + place for field in kept for place in range(field.width)]]
            asked = ids.clamp(min=0)
            if folding is None:
                vectors = self._rows(parameters, asked, shared)
            else:
                rows = folding.rows_of(shared)
                both = torch.cat([asked.flatten(1).long(), rows], 1)
                found = self._rows(parameters, both, shared)  # [K, B·C + S, d]
                vectors, value = found.split_with_sizes([asked[0].numel(), rows.shape[1]], 1)
                vectors = vectors.view(*asked.shape, self.embedding_dim)
                values.append(value)
            if kept:
                pieces += pooled(vectors, ids, kept, attention, batch.numeric)
        return [piece.to(batch.numeric.dtype) for piece in pieces], values

    def _rows(self, parameters: Mapping[str, Tensor], ids: Tensor, shared: bool) -> Tensor:
        """[..., d] what is read of each id."""
        found = functional.embedding(ids, parameters[SHARED if shared else PRIVATE])
        if shared and self.residual:
            found = found + self.residual * functional.embedding(ids, parameters[RESIDUAL])
        return found


def merged(parameters: Parameters, residual: float) -> Parameters:
    """The same function's parameters without a residual: it is in the table to which it was added."""
    found = {name: value for name, value in parameters.items() if name != RESIDUAL}
    return {**found, SHARED: parameters[SHARED] + residual * parameters[RESIDUAL]}


def declare_towers(tasks: int, width: int, layers: tuple[int, ...], *, norm: bool = False) -> list[Declaration]:
    """A tower per task on `width` numbers: hidden `layers`, normalised or not, then one logit."""
    found = []
    for n, out in enumerate((*layers, 1)):
        last = n == len(layers)
        init: Init = "uniform" if last else "kaiming"
        shape = (tasks, width, out)
        found.append(Declaration(f"tower.{n}.weight", Role.TOWER, shape, init, unit_axis="task", output=last))
        found.append(Declaration(f"tower.{n}.bias", Role.TOWER, (tasks, out), "zeros", unit_axis="task"))
        if norm and n < len(layers):
            found += declare_norm(f"tower.{n}", tasks, out, "task")
        width = out
    return found


def towers(
    parameters: Mapping[str, Tensor],
    z: Tensor,
    layers: tuple[int, ...],
    forward: Pass,
    *,
    norm: bool = False,
    rate: float = 0.0,
) -> Tensor:
    """[K, T, H, B] -> [K, B, T] logits, the last layer in float32 at least.

    Args:
        norm, rate: of what follows each hidden layer.
    """
    for n in range(len(layers)):
        tail = Tail(parameters, forward, f"tower.{n}", norm=norm, rate=rate)
        z = next_layer(z, parameters[f"tower.{n}.weight"], parameters[f"tower.{n}.bias"], tail)
    z, last = z.to(torch.promote_types(z.dtype, torch.float32)), f"tower.{len(layers)}"
    z = next_layer(z, parameters[f"{last}.weight"], parameters[f"{last}.bias"])
    return z.squeeze(2).transpose(1, 2)  # [K, T, 1, B] -> [K, B, T]
