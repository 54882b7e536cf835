"""The server's sums over long vectors, a block of columns at a time.

Every function takes the scenarios' tensors as they arrived: K tensors of one shape and dtype, read in place, never
stacked as a whole. A block of columns is converted to float64, summed there, and the result has the inputs' shape and
dtype. Besides inputs and result, a function holds one block of at most `BLOCK_BYTES` (`pairs` two, of together as much)
and some scenarios' strip of it in the inputs' dtype.

One unit's parameters are several tensors (`uploads[n].parameters[name][unit]`): Gram matrices and `dots` of all of
them add up, everything else is done tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Vectors = Sequence[Tensor]
"""K tensors of the same shape and dtype, contiguous (others are copied)."""
BLOCK_BYTES = 64 * 2**20
"""A float64 block [K, width] is never larger."""
_CACHE_BYTES = 4 * 2**20
"""Blocks this large stay in the cache between being filled and being summed."""
_LEAST_COLUMNS = 4096
_STRIP = 128
_STRIP_BYTES = 2**19
"""A block is filled strip by strip, some scenarios each: converted and subtracted while that is in the cache."""


def blocks(values: Vectors, base: Vectors | None = None, multiple: int = 1) -> Iterator[tuple[slice, Tensor]]:
    """(columns, [K, width] float64 of values - base) over all columns; the block is overwritten by the next one.

    Args:
        multiple: widths are multiples of this, which divides the number of columns.

    Raises:
        ValueError: another number of base tensors than of values, or shapes that differ.
    """
    flat, held = _flat(values, base)
    K, size = len(flat), flat[0].numel()
    width = _width(K, size, multiple, BLOCK_BYTES)
    block = flat[0].new_empty(K * width, dtype=torch.float64)
    for start in range(0, size, width):
        columns = slice(start, min(start + width, size))
        view = _part(block, K, columns)
        for rows, part in _strips(flat, columns):
            view[rows] = part
            if held is not None:
                view[rows].sub_(_stack(held[rows], columns, part))
        yield columns, view


def pairs(values: Vectors, base: Vectors, multiple: int = 1) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """(columns, values, values - base), [K, width] float64 each: both read once; otherwise as `blocks`."""
    flat, held = _flat(values, base)
    assert held is not None
    K, size = len(flat), flat[0].numel()
    width = _width(K, size, multiple, BLOCK_BYTES // 2)
    own, moved = (flat[0].new_empty(K * width, dtype=torch.float64) for _ in range(2))
    for start in range(0, size, width):
        columns = slice(start, min(start + width, size))
        view, update = (_part(room, K, columns) for room in (own, moved))
        for rows, part in _strips(flat, columns):
            view[rows] = part
            torch.sub(view[rows], _stack(held[rows], columns, part), out=update[rows])
        yield columns, view, update


def _flat(values: Vectors, base: Vectors | None) -> tuple[list[Tensor], list[Tensor] | None]:
    """Both as vectors; errors as `blocks`."""
    if base is not None and len(base) != len(values):
        raise ValueError(f"{len(values)} values and {len(base)} base tensors")
    for tensor in (*values, *(base or ())):
        if tensor.shape != values[0].shape:
            raise ValueError(f"shapes {list(values[0].shape)} and {list(tensor.shape)} differ")
    return [v.reshape(-1) for v in values], None if base is None else [v.reshape(-1) for v in base]


def _width(K: int, size: int, multiple: int, most: int) -> int:
    """Columns of a block of at most `most` bytes; as few blocks as that takes, all of nearly the same width."""
    width = min(max(_CACHE_BYTES // (8 * K), _LEAST_COLUMNS), most // (8 * K))
    count = max(round(size / max(width, 1)), -(-size // max(most // (8 * K), 1)), 1)
    return min(max(-(-size // (count * multiple)), 1), max(most // (8 * K * multiple), 1)) * multiple


def _part(room: Tensor, K: int, columns: slice) -> Tensor:
    width = columns.stop - columns.start
    return room[: K * width].view(K, width)


def _strips(vectors: list[Tensor], columns: slice) -> Iterator[tuple[slice, Tensor]]:
    """(scenarios, [some, width] their columns, in the vectors' own type) of all; overwritten by the next one."""
    count = max(_STRIP_BYTES // (8 * (columns.stop - columns.start)), 1)
    room = vectors[0].new_empty(min(count, len(vectors)) * (columns.stop - columns.start))
    for first in range(0, len(vectors), count):
        rows = slice(first, min(first + count, len(vectors)))
        yield rows, _stack(vectors[rows], columns, _part(room, rows.stop - first, columns))


def _stack(vectors: list[Tensor], columns: slice, out: Tensor) -> Tensor:
    if columns.start > 0 or columns.stop < len(vectors[0]):
        vectors = [v[columns] for v in vectors]
    return torch.stack(vectors, out=out)


def gram(values: Vectors, base: Vectors | None = None) -> Tensor:
    """[K, K] float64 inner products of dW_n = values_n - base_n; exactly symmetric."""
    return gram_of([(values, base)])


def gram_of(parts: Sequence[tuple[Vectors, Vectors | None]]) -> Tensor:
    """The sum of several tensors' Gram matrices, each of (values, base) as in `gram`."""
    return _mirrored(torch.stack([_upper(values, base) for values, base in parts]).sum(0))


def _upper(values: Vectors, base: Vectors | None) -> Tensor:
    """A Gram matrix that is right on its diagonal and above."""
    K = len(values)
    upper = torch.zeros(K, K, dtype=torch.float64, device=values[0].device)
    for _, block in blocks(values, base):
        for row in range(0, K, _STRIP):
            upper[row : row + _STRIP, row:].addmm_(block[row : row + _STRIP], block[row:].T)
    return upper


def _mirrored(upper: Tensor) -> Tensor:
    return upper.triu() + upper.triu(1).T


def combine(coefficients: Tensor, values: Vectors, base: Vectors | None = None) -> Tensor:
    """sum_n coefficients[n] · (values_n - base_n), such as U. coefficients [K]."""
    weights = coefficients.to(values[0].device, torch.float64)
    total = torch.empty_like(values[0], memory_format=torch.contiguous_format)
    for columns, block in blocks(values, base):
        total.view(-1)[columns] = weights @ block
    return total


def combine_each(coefficients: Tensor, values: Vectors, base: Vectors | None = None) -> list[Tensor]:
    """For each row of coefficients [M, K] what `combine` gives, all values read once."""
    weights = coefficients.to(values[0].device, torch.float64)
    totals = [torch.empty_like(values[0], memory_format=torch.contiguous_format) for _ in weights]
    for columns, block in blocks(values, base):
        for total, part in zip(totals, weights @ block, strict=True):
            total.view(-1)[columns] = part
    return totals


def mean(values: Vectors, weights: Tensor | None = None) -> Tensor:
    """Mean over scenarios; weights [K] >= 0 with a positive sum, alike where None. Where all are equal, that number."""
    share = torch.ones(len(values), dtype=torch.float64) if weights is None else weights.double()
    share = (share / share.sum()).to(values[0].device)
    total = torch.empty_like(values[0], memory_format=torch.contiguous_format)
    for columns, block in blocks(values):
        first = block[0].clone()
        total.view(-1)[columns] = first + share @ block.sub_(first)
    return total


def dots(values: Vectors, direction: Tensor, base: Vectors | None = None) -> Tensor:
    """[K] float64: <values_n - base_n, direction>, such as how updates agree with the last U."""
    flat = direction.reshape(-1)
    total = torch.zeros(len(values), dtype=torch.float64, device=flat.device)
    for columns, block in blocks(values, base):
        total += block @ flat[columns].double()
    return total
