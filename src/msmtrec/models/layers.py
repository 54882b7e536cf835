"""Batched building blocks. K members, B rows, D inputs, Q = units side by side (experts, or tasks × experts)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from msmtrec.data.table import Field


def embed(table: Tensor, ids: Tensor, fields: tuple[Field, ...], first_column: int) -> list[Tensor]:
    """Look fields up and mean-pool the multi-valued ones.

    Args:
        table: [rows, d].
        ids: [K, B, C], -1 padding.
        fields: those of this table; `first_column` is where they begin in `Rows.ids`.

    Returns:
        tensors [K, B, width·d], in field order.
    """
    if not fields:
        return []
    K, B, _ = ids.shape
    vectors = functional.embedding(ids.clamp(min=0), table)  # [K, B, C, d]
    if all(field.width == 1 for field in fields):
        return [vectors.reshape(K, B, -1)]
    pieces = []
    for field in fields:
        start = field.start - first_column
        piece = vectors[:, :, start : start + field.width]  # [K, B, width, d]
        if field.width > 1:
            present = (ids[:, :, start : start + field.width] >= 0).unsqueeze(-1).to(piece.dtype)
            piece = (piece * present).sum(2) / present.sum(2)  # the first place is never padding
        pieces.append(piece.reshape(K, B, -1))
    return pieces


def first_layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """All units read the same input: one matmul for all of them.

    x [K, B, D], weight [K, Q, D, H], bias [K, Q, H] -> [K, Q, B, H]
    """
    K, Q, D, H = weight.shape
    wide = torch.bmm(x, weight.permute(0, 2, 1, 3).reshape(K, D, Q * H))  # [K, B, Q·H]
    return wide.view(K, -1, Q, H).transpose(1, 2) + bias.unsqueeze(2)


def next_layer(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each unit reads its own input.

    h [K, Q, B, I], weight [K, Q, I, O], bias [K, Q, O] -> [K, Q, B, O]
    """
    return torch.matmul(h, weight) + bias.unsqueeze(2)


def mix(gates: Tensor, outputs: Tensor) -> Tensor:
    """z_t = sum over j of g_t,j f_t,j. gates [K, T, B, J], outputs [K, T or 1, J, B, H] -> [K, T, B, H]"""
    return (gates.transpose(2, 3).unsqueeze(-1) * outputs).sum(2)
