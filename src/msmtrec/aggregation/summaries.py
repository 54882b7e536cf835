"""What is written down of a conflict problem: bounded, however many scenarios there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

LISTED = 30
"""Scenarios whose pairs are written and drawn one by one."""
HEAVIEST = 10
"""Scenarios whose dual weight is written whatever their size."""
_QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}

Array = NDArray[np.float64]


def summarise_conflict(
    cosine: Tensor,
    weights: Tensor,
    coefficients: Tensor,
    names: Sequence[str],
    rows: Sequence[int],
    listed: int = LISTED,
) -> dict[str, Any]:
    """Diagnostics of one round's conflict problems for rounds.jsonl; their size does not grow with K.

    Up to `listed` scenarios everything is there. Beyond, the scenarios with the most rows (of equals, those that come
    first) are there in full and the others as quantiles. Numbers have 6 significant digits; one that is not finite is
    null, and a pair whose cosine is null is counted nowhere.

    Args:
        cosine: [K, K], mean over experts of the cosines between the scenarios' updates; NaN where there is none.
        weights: [J, K], each expert's dual point.
        coefficients: [K], mean over experts of the coefficients of U.
        names, rows: of the K scenarios that took part, in table order.

    Returns:
        scenarios: the S listed names, in table order.
        of: K.
        cosine [S][S], conflict_weights [J][S], coefficients [S]: theirs.
        pairs: over all K (K - 1) / 2 pairs: `count`, `negative` (share below 0), `mean`, `min`, `q05`, `q25`, `median`,
            `q75`, `q95`, `max`; null where there is no pair.
        heaviest: scenario -> dual weight, mean over experts: the 10 largest above zero, the largest first.
        rest: with K > S only: `scenarios` K - S, `conflict_weights` [J] their sum by expert, `coefficients` their
            `mean`, `min` … `max`.

    The caller adds what it knows itself: negative_pairs (mean over experts), degenerate, duality_gap.

    Raises:
        ValueError: the arguments' sizes do not fit.
    """
    table, dual, share = (np.asarray(value, np.float64) for value in (cosine, weights, coefficients))
    K = len(names)
    if table.shape != (K, K) or dual.ndim != 2 or dual.shape[1] != K or share.shape != (K,) or len(rows) != K:
        raise ValueError(f"sizes do not fit: {table.shape}, {dual.shape}, {share.shape}, {K} names, {len(rows)} rows")
    at = largest(rows, listed)
    mean = dual.mean(0) if len(dual) else np.zeros(K)
    found = {
        "scenarios": [names[n] for n in at],
        "of": K,
        "cosine": plain(table[np.ix_(at, at)]),
        "conflict_weights": plain(dual[:, at]),
        "coefficients": plain(share[at]),
        "pairs": pair_statistics(table),
        "heaviest": {names[n]: plain(mean[n]) for n in np.argsort(-mean, kind="stable")[:HEAVIEST] if mean[n] > 0},
    }
    if len(at) < K:
        others = np.setdiff1d(np.arange(K), at)
        found["rest"] = {
            "scenarios": len(others),
            "conflict_weights": plain(dual[:, others].sum(1)),
            "coefficients": _spread(share[others]),
        }
    return found


def largest(sizes: Sequence[int], count: int) -> list[int]:
    """Places of the `count` largest, in their order; of equals the first."""
    return sorted(sorted(range(len(sizes)), key=lambda n: -sizes[n])[:count])


def pair_statistics(cosine: Array) -> dict[str, Any]:
    """Of the cosines above the diagonal of [K, K], as `summarise_conflict` has them; NaN is left out."""
    values = cosine[np.triu_indices(len(cosine), 1)]
    values = values[np.isfinite(values)]
    negative = plain((values < 0).mean()) if len(values) else None
    return {"count": len(values), "negative": negative, **_spread(values)}


def _spread(values: Array) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    if not len(values):
        return dict.fromkeys(("mean", *_QUANTILES))
    found = np.quantile(values, list(_QUANTILES.values()))
    return {"mean": plain(values.mean()), **{name: plain(v) for name, v in zip(_QUANTILES, found, strict=True)}}


def plain(values: Any) -> Any:
    """Nested lists of floats with 6 significant digits, null where not finite."""
    if np.ndim(values):
        return [plain(value) for value in values]
    return float(f"{values:.6g}") if np.isfinite(values) else None
