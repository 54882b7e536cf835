"""The experts' consensus: steps 1 and 2 of a round, expert by expert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from msmtrec.aggregation import chunks
from msmtrec.aggregation.alignment import Alignment, by_moments, consensus, consensus_and_update, plain, wiped
from msmtrec.aggregation.conflict import Coordination, Rescale, coordinate
from msmtrec.aggregation.summaries import summarise_conflict
from msmtrec.base.parameters import Declaration, Parameters

Group = tuple[Declaration, ...]
"""Parameters whose first axis counts units: experts, or tasks."""


def units_of(group: Group, like: Mapping[str, Tensor]) -> list[tuple[Group, int]]:
    """Every expert or task, level by level: its parameters and its number. Experts of two levels share nothing."""
    levels = dict.fromkeys(d.level for d in group)
    parts = [tuple(d for d in group if d.level == level) for level in levels]
    return [(part, number) for part in parts for number in range(len(like[part[0].name]))]


@dataclass(frozen=True)
class Consensus:
    """Args:
    consensus: name -> [J, ...], C = mean(A) + U - m.
    updates: expert -> name -> U; empty unless asked for.
    dual: scenario -> its dual weight per expert, where the next round's search begins.
    diagnostics: see `summarise_conflict`; also the share of negative pairs, experts whose mean was returned, and the
        largest duality gap.
    """

    consensus: Parameters
    updates: dict[int, Parameters]
    dual: dict[str, tuple[float, ...]]
    diagnostics: dict[str, Any]


def expert_consensus(
    group: Group,
    held: Mapping[str, Parameters],
    sent: Mapping[str, Parameters],
    rows: Mapping[str, int],
    *,
    normalization: str,
    c: float | None,
    rescale: Rescale,
    dual: Mapping[str, tuple[float, ...]] | None = None,
    updates: bool = False,
) -> Consensus:
    """Federated batch normalisation and conflict coordination. Reads the uploads where they lie.

    Args:
        group: the W_scen declarations, expert axis first.
        held: scenario -> last_n.
        sent: scenario -> W_n, in table order.
        rows: scenario -> training rows, by which diagnostics choose whom to list.
        normalization: off, tensor, channel or literal.
        c: of the conflict problem; None leaves U = m.
        dual: of the round before.
        updates: whether U itself is wanted, which only `hyper` needs.
    """
    experts, solved = units_of(group, next(iter(sent.values()))), list[Coordination]()
    pieces: dict[str, list[Tensor]] = {d.name: [] for d in group}
    asked: dict[int, Parameters] = {}
    for unit, (part, number) in enumerate(experts):
        values = {d.name: units(sent, d.name, number) for d in part}
        base = {d.name: units({name: held[name] for name in sent}, d.name, number) for d in part}
        gram = chunks.gram_of([(values[d.name], base[d.name]) for d in part])
        found = coordinate(gram, c or 0.0, rescale, start=_start(dual, list(sent), unit))
        solved.append(found)
        for name, tensors in values.items():
            aligned = _alignment(tensors, normalization)
            if updates:
                common, update = consensus_and_update(tensors, aligned, base[name], found.coefficients)
                asked.setdefault(unit, {})[name] = update
            else:
                common = consensus(tensors, aligned, base[name], found.coefficients)
            pieces[name].append(common)
    weights = torch.stack([found.weights for found in solved])  # [J, K]
    return Consensus(
        {name: torch.stack(parts) for name, parts in pieces.items()},
        asked,
        {name: tuple(weights[:, place].tolist()) for place, name in enumerate(sent)},
        {
            **summarise_conflict(
                torch.stack([found.cosine for found in solved]).mean(0),
                weights,
                torch.stack([found.coefficients for found in solved]).mean(0),
                list(sent),
                [rows[name] for name in sent],
            ),
            "negative_pairs": sum(found.negative_pairs for found in solved) / len(experts),
            "degenerate": sum(found.degenerate for found in solved),
            "duality_gap": max(found.gap for found in solved),
        },
    )


def units(parameters: Mapping[str, Parameters], name: str, unit: int) -> list[Tensor]:
    """One parameter of one unit from every scenario, as views."""
    return [params[name][unit] for params in parameters.values()]


def _alignment(values: list[Tensor], normalization: str) -> Alignment:
    if normalization == "off":
        return plain(len(values))
    if normalization == "literal":
        return wiped(len(values))
    return by_moments(values, per_channel=normalization == "channel")


def _start(dual: Mapping[str, tuple[float, ...]] | None, names: list[str], unit: int) -> Tensor | None:
    """Last round's weights in today's order; 0 for who was not there."""
    if not dual:
        return None
    return torch.tensor([dual[name][unit] if name in dual else 0.0 for name in names], dtype=torch.float64)
