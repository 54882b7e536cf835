"""A tensor as its coded difference to one that both ends have: 8-bit numbers, its largest entries alone, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from msmtrec.base.finite import all_finite

Values = Literal["float32", "float16", "int8"]
_STEPS = 127
"""Of int8 to either side of 0."""


@dataclass(frozen=True)
class Coded:
    """Args:
    values: [n] float32, float16 or int8: of all entries, or of those that are sent.
    scale: [r, 1] float32: what a step of int8 is worth, per row of the last axis, or [1, 1] for entries alone; None for
        other types.
    at: [n] int32, ascending: which entries, in the order of memory; None sends all.
    """

    values: Tensor
    scale: Tensor | None = None
    at: Tensor | None = None

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """All that travels."""
        return tuple(part for part in (self.values, self.scale, self.at) if part is not None)


def coded(change: Tensor, values: Values, share: float | None) -> Coded:
    """A difference, made smaller.

    Rounding to 8 bits is to the nearest of 255 steps up to the row's largest entry, so that coding again what is left
    comes to nothing in the end (a contraction: the compressor of EF21, Richtárik, Sokolov, Fatkhullin, NeurIPS 2021).

    Args:
        change: float32, of any shape.
        share: of the entries, the largest ones; at least one. None sends all.
    """
    flat, at = change.reshape(-1), None
    if share is not None and len(flat):
        count = max(1, round(share * len(flat)))
        at = flat.abs().topk(count).indices.sort().values
        flat = flat[at]
        at = at.int()
    if values != "int8":
        return Coded(flat.to(torch.float16 if values == "float16" else torch.float32), at=at)
    rows = _rows(flat, change if at is None else flat)
    most = rows.abs().amax(1, keepdim=True) if rows.numel() else rows.new_zeros(len(rows), 1)
    scale = (most / _STEPS).where(most > 0, torch.ones_like(most))
    return Coded((rows / scale).round().clamp(-_STEPS, _STEPS).to(torch.int8).reshape(-1), scale, at)


def decoded(sent: Coded, base: Tensor) -> Tensor:
    """`base` and the difference: the same bits at either end.

    Raises:
        ValueError: it is no difference to a tensor of this shape, or not of numbers.
    """
    at, flat = sent.at, base.reshape(-1)
    count = len(flat) if at is None else len(at)
    if sent.values.shape != (count,) or sent.values.dtype not in (torch.float32, torch.float16, torch.int8):
        raise ValueError(f"{tuple(sent.values.shape)} {sent.values.dtype} for {count} entries")
    values = sent.values.float()
    if sent.scale is not None:
        rows = _rows(values, base if at is None else values)
        if sent.scale.shape != (len(rows), 1):
            raise ValueError(f"{tuple(sent.scale.shape)} scales for {len(rows)} rows")
        values = (rows * sent.scale).reshape(-1)
    if at is not None and len(at):
        if int(at[0]) < 0 or int(at[-1]) >= len(flat) or not bool((at[1:] > at[:-1]).all()):
            raise ValueError(f"entries that are not among {len(flat)}, or twice")
        spread = torch.zeros_like(flat)
        spread[at.long()] = values
        values = spread
    if not all_finite(values):
        raise ValueError("NaN or infinite values")
    return (flat + values).view(base.shape)


def _rows(flat: Tensor, shape: Tensor) -> Tensor:
    """Entries by the last axis of a tensor; those of one axis or none are one row."""
    return flat.view(-1, shape.shape[-1]) if shape.dim() > 1 and shape.numel() else flat.view(1, -1)
