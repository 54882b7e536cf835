"""The consensus of one tensor, C = mean(A) + U - m, without holding any A_n.

Bringing tensors to common moments is affine, A_n = s_n W_n + t_n with numbers s_n, t_n per tensor or per output
channel (`normalization.moments`). So mean(A) = sum_n (s_n/K) W_n + t, and two passes over the inputs for the moments
and one or two for the sums are enough.

For one unit (expert), W[name] and last[name] being lists over scenarios of that unit's tensors, views of what arrived:

    G = sum(chunks.gram(W[name], last[name]) for name in names)
    solved = coordinate(G, c, rescale, start=weights of the last round)
    for name in names:
        C = consensus(W[name], by_moments(W[name]), last[name], solved.coefficients)
        U = chunks.combine(solved.coefficients, W[name], last[name])  # where U is needed
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msmtrec.aggregation.chunks import Vectors, blocks
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

    A deviation at or below NEGLIGIBLE of the largest one is centred only; equal tensors stay as they are.

    Args:
        values: K × [...].
        per_channel: moments over all axes but the last one (a bias [out] is one number a channel), else over all.
    """
    K, channels = len(values), values[0].shape[-1] if per_channel else 1
    rows = values[0].numel() // channels
    mean, squares = torch.zeros(2, K, channels, dtype=torch.float64, device=values[0].device)
    for _, block in blocks(values, multiple=channels):
        mean += block.view(K, -1, channels).sum(1)
    mean /= rows
    for _, block in blocks(values, multiple=channels):
        squares += block.view(K, -1, channels).sub_(mean.unsqueeze(1)).square_().sum(1)
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
    result = torch.empty_like(values[0], memory_format=torch.contiguous_format)
    tilt = None if coefficients is None else (coefficients.double() - 1 / len(values)).to(result.device)
    channels = alignment.weights.shape[1]
    turned = tilt is not None and bool(tilt.any())
    updates = blocks(values, base, channels) if turned else None
    for columns, block in blocks(values, multiple=channels):
        centre = alignment.centre(block)
        if updates is not None and tilt is not None:
            centre += tilt @ next(updates)[1]
        result.view(-1)[columns] = centre
    return result
