"""The consensus of one tensor, C = mean(A) + U - m, without holding any A_n.

Bringing tensors to common moments is affine, A_n = s_n W_n + t_n with numbers s_n, t_n per tensor or per output
channel (`normalization.moments`). So mean(A) = sum_n (s_n/K) W_n + t, and one pass over the inputs for the moments and
one for the sums are enough.

For one unit (expert), W[name] and last[name] being lists over scenarios of that unit's tensors, views of what arrived:

    G = chunks.gram_of([(W[name], last[name]) for name in names])
    solved = coordinate(G, c, rescale, start=weights of the last round)
    for name in names:
        C = consensus(W[name], by_moments(W[name]), last[name], solved.coefficients)
        C, U = consensus_and_update(W[name], by_moments(W[name]), last[name], solved.coefficients)  # where U is needed
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msmtrec.aggregation.chunks import Vectors, blocks, pairs
from msmtrec.aggregation.normalization import NEGLIGIBLE

_ROUNDING = 1e-13
"""Deviations that agree so far are common already: mean(A) is the plain mean, and equal numbers stay bit for bit."""


@dataclass(frozen=True)
class Alignment:
    """mean(A) = sum_n weights[n] · W_n + shift.

    Args:
        weights: [K, channels] float64, s_n/K; one channel stands for the whole tensor.
        excess: [channels] float64, the sum of the weights less one; 0 and not nearly 0 where they are means.
        shift: [channels] float64.
    """

    weights: Tensor
    excess: Tensor
    shift: Tensor

    def centre(self, block: Tensor) -> Tensor:
        """mean(A) of some columns, [K, width] -> [width]; overwrites the block. Equal numbers stay as they are."""
        channels = self.weights.shape[1]
        first = block[0].clone()
        block.sub_(first)
        if channels == 1:
            moved = self.weights[:, 0] @ block
        else:
            moved = block.view(len(block), -1, channels).mul_(self.weights.unsqueeze(1)).sum(0).view(-1)
        rows = len(first) // channels
        return first + moved + self.excess.repeat(rows) * first + self.shift.repeat(rows)


def plain(K: int) -> Alignment:
    """A_n = W_n."""
    return Alignment(torch.full((K, 1), 1 / K, dtype=torch.float64), *torch.zeros(2, 1, dtype=torch.float64))


def wiped(K: int) -> Alignment:
    """The literal reading (`normalization.literal`): the mean of z-scores across scenarios is zero."""
    return Alignment(
        torch.zeros(K, 1, dtype=torch.float64), torch.full((1,), -1.0).double(), torch.zeros(1, dtype=torch.float64)
    )


def by_moments(values: Vectors, per_channel: bool = False) -> Alignment:
    """`normalization.moments` of one tensor, as numbers: A_n = (W_n - mu_n) / sigma_n · mean(sigma) + mean(mu).

    A deviation at or below NEGLIGIBLE of the largest one is centred only; equal tensors stay as they are. In one pass:
    each block's mean and squared deviations from it join those of the blocks before (Chan, Golub and LeVeque 1983).

    Args:
        values: K × [...].
        per_channel: moments over all axes but the last one (a bias [out] is one number a channel), else over all.
    """
    K, channels = len(values), values[0].shape[-1] if per_channel else 1
    rows = values[0].numel() // channels
    mean, squares = torch.zeros(2, K, channels, dtype=torch.float64, device=values[0].device)
    seen = 0
    for _, block in blocks(values, multiple=channels):
        part = block.view(K, -1, channels)
        own, new = part.mean(1), part.shape[1]
        apart = own - mean
        squares += part.sub_(own.unsqueeze(1)).square_().sum(1) + apart.square() * (seen * new / (seen + new))
        seen += new
        mean += apart * (new / seen)
    deviation = (squares / rows).sqrt()
    flat = deviation <= NEGLIGIBLE * deviation.amax(0)
    scale = torch.where(flat, 1.0, deviation.mean(0) / deviation.where(~flat, torch.ones_like(deviation)))
    common = ((scale - 1).abs() <= _ROUNDING).all(0)
    weights = scale / K
    shift = torch.where(common, 0.0, mean.mean(0) - (weights * mean).sum(0))
    return Alignment(weights, torch.where(common, 0.0, scale.mean(0) - 1), shift)


def consensus(
    values: Vectors, alignment: Alignment, base: Vectors | None = None, coefficients: Tensor | None = None
) -> Tensor:
    """C = mean(A) + U - m in the shape and dtype of one scenario's tensor, rounded once.

    U - m = sum_n (coefficients[n] - 1/K) · (values_n - base_n): no difference of two nearly equal sums.

    Args:
        values: K × [...] W_n.
        alignment: of these values: `plain`, `by_moments`, `wiped`.
        base: K × [...] last_n.
        coefficients: [K] of U; None for U = m, which also leaves `base` unread.

    Raises:
        ValueError: coefficients without a base.
    """
    if coefficients is not None and base is None:
        raise ValueError("coefficients refer to updates: base is missing")
    if coefficients is not None and base is not None:
        tilt = _tilt(coefficients, values)
        if tilt.any():
            return _sums(values, alignment, base, tilt.unsqueeze(0))[0]
    result = torch.empty_like(values[0], memory_format=torch.contiguous_format)
    for columns, block in blocks(values, multiple=alignment.weights.shape[1]):
        result.view(-1)[columns] = alignment.centre(block)
    return result


def consensus_and_update(
    values: Vectors, alignment: Alignment, base: Vectors, coefficients: Tensor
) -> tuple[Tensor, Tensor]:
    """`consensus`, and U = sum_n coefficients[n] · (values_n - base_n) as `chunks.combine` has it, in one pass."""
    tilt = _tilt(coefficients, values)
    found, update = _sums(values, alignment, base, torch.stack([tilt, coefficients.to(tilt)]))
    return found, update


def _tilt(coefficients: Tensor, values: Vectors) -> Tensor:
    return (coefficients.double() - 1 / len(values)).to(values[0].device)


def _sums(values: Vectors, alignment: Alignment, base: Vectors, weights: Tensor) -> list[Tensor]:
    """mean(A) + weights[0] · updates, and weights[i] · updates of the others; weights [n, K]."""
    results = [torch.empty_like(values[0], memory_format=torch.contiguous_format) for _ in weights]
    for columns, block, update in pairs(values, base, alignment.weights.shape[1]):
        sums = weights @ update
        sums[0] += alignment.centre(block)
        for result, found in zip(results, sums, strict=True):
            result.view(-1)[columns] = found
    return results
