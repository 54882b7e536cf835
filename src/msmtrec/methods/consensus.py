"""The experts' consensus: steps 1 and 2 of a round, expert by expert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from msmtrec.aggregation.conflict import Rescale, coordinate, gram_matrix
from msmtrec.aggregation.normalization import literal, moments
from msmtrec.base.parameters import Declaration, Parameters


def stack_units(group: tuple[Declaration, ...], parameters: Mapping[str, Tensor], unit: int) -> Tensor:
    """All tensors of one expert (or of one task's tower) as one float64 vector [P]."""
    return torch.cat([parameters[d.name][unit].double().flatten() for d in group])


def split_units(group: tuple[Declaration, ...], vectors: list[Tensor], like: Mapping[str, Tensor]) -> Parameters:
    """Undo `stack_units` for all units: vectors U × [P] -> name -> [U, ...]."""
    table, start, parameters = torch.stack(vectors), 0, {}
    for d in group:
        size = like[d.name][0].numel()
        piece = table[:, start : start + size]
        parameters[d.name] = piece.reshape(like[d.name].shape).to(like[d.name].dtype)
        start += size
    return parameters


@dataclass(frozen=True)
class Consensus:
    """Args:
    consensus: name -> [J, ...], C = mean(A) + U - m.
    updates: expert -> U [P] float64.
    diagnostics: mean cosine matrix over experts, dual weights per expert, mean coefficients of U over experts,
        share of negative pairs, experts whose mean was returned, largest duality gap.
    """

    consensus: Parameters
    updates: dict[int, Tensor]
    diagnostics: dict[str, Any]


def expert_consensus(
    group: tuple[Declaration, ...],
    held: Mapping[str, Parameters],
    sent: Mapping[str, Parameters],
    normalization: str,
    c: float | None,
    rescale: Rescale,
) -> Consensus:
    """Federated batch normalisation and conflict coordination.

    Args:
        group: the W_scen declarations, expert axis first.
        held: scenario -> last_n.
        sent: scenario -> W_n, in table order.
        normalization: off, tensor, channel or literal.
        c: of the conflict problem; None leaves U = m.
    """
    first = next(iter(sent.values()))
    normalised = _normalise(group, sent, normalization)
    vectors, updates = [], {}
    cosines, weights, shares, negative, degenerate, gaps = [], [], [], [], 0, []
    for unit in range(len(first[group[0].name])):
        own = torch.stack([stack_units(group, params, unit) for params in sent.values()])  # [K, P]
        last = torch.stack([stack_units(group, held[name], unit) for name in sent])
        delta = own - last
        mean = delta.mean(0)
        solved = coordinate(gram_matrix(delta), c or 0.0, rescale)
        plain = c is None or c == 0 or solved.degenerate or len(sent) == 1
        update = mean if plain else solved.coefficients @ delta
        aligned = torch.stack([stack_units(group, params, unit) for params in normalised])
        centre = aligned[0] if (aligned == aligned[:1]).all() else aligned.mean(0)
        vectors.append(centre + (update - mean))
        updates[unit] = update
        cosines.append(solved.cosine)
        weights.append(solved.weights.tolist())
        shares.append(torch.full_like(solved.coefficients, 1 / len(sent)) if plain else solved.coefficients)
        negative.append(solved.negative_pairs)
        gaps.append(solved.gap)
        degenerate += solved.degenerate
    return Consensus(
        split_units(group, vectors, first),
        updates,
        {
            "cosine": torch.stack(cosines).mean(0).tolist(),
            "conflict_weights": weights,
            "coefficients": torch.stack(shares).mean(0).tolist(),
            "negative_pairs": sum(negative) / len(negative),
            "degenerate": degenerate,
            "duality_gap": max(gaps),
            "scenarios": list(sent),
        },
    )


def _normalise(group: tuple[Declaration, ...], sent: Mapping[str, Parameters], kind: str) -> list[Parameters]:
    if kind == "off":
        return list(sent.values())
    result: list[Parameters] = [{} for _ in sent]
    for d in group:
        values = torch.stack([params[d.name] for params in sent.values()])  # [K, J, ..., out]
        if kind == "literal":
            aligned = literal(values)
        elif kind == "channel":
            channels = values.reshape(*values.shape[:2], -1, values.shape[-1]).transpose(2, 3)
            aligned = moments(channels).transpose(2, 3).reshape(values.shape)
        else:
            aligned = moments(values.flatten(2)).reshape(values.shape)
        for params, value in zip(result, aligned, strict=True):
            params[d.name] = value
    return result
