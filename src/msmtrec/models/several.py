"""The input looked up in several tables, side by side in one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch
from msmtrec.models.layers import pooled
from msmtrec.models.parts import Inputs
from msmtrec.models.settings.base import ModelSettings


class SeveralInputs(Inputs):
    """`tables` inputs of the same rows, each with embeddings and attention of its own.

    Table g is the columns g·d … (g + 1)·d - 1 of one: what stacks, methods and files know of tables holds for it.
    """

    def __init__(self, layout: Layout, settings: ModelSettings, tables: int) -> None:
        super().__init__(layout, settings)
        self.tables = tables

    def declare(self) -> list[Declaration]:
        d = self.embedding_dim
        found = self._tables(self.tables * d)
        if self.attending:
            attention = (self.tables, len(self.attending), d, d)
            found.append(Declaration("attention", Role.ATTENTION, attention, "identity"))
        return found

    def read(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """[K, B, tables · width]: what `Inputs` would read in each table, one after the other."""
        numeric = batch.numeric[:, :, : self.layout.numeric]
        found: list[list[Tensor]] = [[] for _ in range(self.tables)]
        for shared, ids, fields in (
            (False, batch.private_ids, self.private),
            (True, batch.shared_ids, self.shared),
        ):
            if not fields:
                continue
            vectors = self._rows(parameters, ids.clamp(min=0), shared)  # [K, B, C, tables · d], asked once
            for g, own in enumerate(torch.split(vectors, self.embedding_dim, 3)):
                found[g] += pooled(own, ids, fields, self._attention(parameters, g), batch.numeric)
        pieces = [piece.to(numeric.dtype) for own in found for piece in (*own, numeric)]
        return torch.cat(pieces, -1)

    def _attention(self, parameters: Mapping[str, Tensor], table: int) -> dict[str, Tensor]:
        weights = parameters["attention"][:, table].unbind(1) if self.attending else ()  # each [K, d, d]
        return dict(zip(self.attending, weights, strict=True))

    def apart(self, x: Tensor) -> Tensor:
        """[K, B, tables · width] -> [K, tables, width, B]"""
        K, B, _ = x.shape
        return x.view(K, B, self.tables, self.width).permute(0, 2, 3, 1)
