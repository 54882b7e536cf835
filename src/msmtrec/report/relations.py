"""Who conflicts with whom, who listens to whom, and how it went over the rounds: figures and their captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msmtrec.aggregation.summaries import LISTED
from msmtrec.record.reading import ContenderRecord, RunRecord
from msmtrec.record.relations import all_pairs, conflicts, listening, over_rounds, personalisation, plain_means
from msmtrec.report.curves import kind_of
from msmtrec.report.figure import Figure, colour
from msmtrec.report.heat import heat_map
from msmtrec.report.lines import Chart, Line

LINES = 12
"""Beyond so many a figure of lines has those of the largest scenarios and the spread of all."""


def relations(run: RunRecord) -> list[tuple[str, list[Figure]]]:
    """(contender, its figures) for every training that coordinates; heat maps have the largest scenarios."""
    own = [contender for contender in run.contenders.values() if not run.repeats(contender.name)]
    found = [(c.name, _figures(run, c, f"relation-{n}")) for n, c in enumerate(own)]
    return [(name, figures) for name, figures in found if figures]


def conflict_by_round(run: RunRecord) -> list[Figure]:
    """Share of pairs that point against each other, and their mean cosine, a line per training that coordinates."""
    found = {
        name: table
        for name, contender in run.contenders.items()
        if not run.repeats(name) and (table := over_rounds(contender))
    }
    if not found:
        return []
    rounds = np.unique(np.concatenate([table.rounds for table in found.values()]))
    figures = []
    for key, title, caption in (
        (
            "negative",
            "pairs against each other",
            "Share of pairs with a cosine below zero, mean over experts and seeds.",
        ),
        ("cosine", "mean cosine of pairs", "Mean over pairs, experts and seeds: 1 is one direction, 0 none in common."),
    ):
        lines = []
        for name, table in found.items():
            values = np.full(len(rounds), np.nan)
            values[np.searchsorted(rounds, table.rounds)] = getattr(table, key)
            if np.isfinite(values).any():
                lines.append(Line(name, kind_of(run, name), values))
        if lines:
            span = (-0.03, 1.03) if key == "negative" else None
            unit = "share of pairs" if key == "negative" else "cosine"
            chart = Chart(f"conflict-{key}", title, rounds, lines, unit=unit, caption=caption, span=span)
            figures.append(chart.figure())
    return figures


def _figures(run: RunRecord, contender: ContenderRecord, key: str) -> list[Figure]:
    drawn = run.largest(LISTED)
    cosine, matrix = conflicts(contender, drawn), listening(contender, drawn)
    if cosine is None or matrix is None or len(run.scenarios) < 2:
        return []
    of, name = len(run.scenarios), contender.name
    some = f" The {len(drawn)} largest of {of:,} scenarios." if len(drawn) < of else ""
    high, note = max(1.0, float(np.nanmax(matrix))), ""
    if some:  # each of many gives little: beside a scenario's own update it could not be seen
        others = matrix[~np.eye(len(drawn), dtype=bool)]
        high = float(np.nanmax(others, initial=0.0)) or high
        own = float(np.nanmean(np.diag(matrix)))
        note = f" Colours end at the most that one takes of another; of its own it keeps {own:.2f}."
    found = [
        heat_map(
            f"{key}-conflict",
            f"{name}: conflict",
            cosine,
            drawn,
            most=1,
            signed=True,
            caption=_conflict(contender, some),
        ),
        heat_map(
            f"{key}-listening",
            f"{name}: listening",
            matrix,
            drawn,
            most=high,
            signed=False,
            caption=f"Listening: row takes from column; the last shade is {high:.2g}.{some}{note}",
        ),
    ]
    mixed = personalisation(contender, run.scenarios)
    if mixed:
        found.append(_mixture(run, name, f"{key}-mixture", mixed))
    return found


def _mixture(run: RunRecord, name: str, key: str, mixed: tuple[str, np.ndarray, np.ndarray]) -> Figure:
    """How much each scenario takes of the common part, by round; beside those drawn the spread of all."""
    symbol, rounds, table = mixed
    drawn, of = run.largest(LINES), len(run.scenarios)
    places = [run.scenarios.index(scenario) for scenario in drawn]
    lines = [
        Line(scenario, colour(n), table[place]) for n, (scenario, place) in enumerate(zip(drawn, places, strict=True))
    ]
    few, band = "", None
    if len(drawn) < of:
        few = f" The {len(drawn)} largest of {of:,} scenarios, and the spread of all (5–95 %)."
        low, middle, high = _quantiles(table, (0.05, 0.5, 0.95))
        band = (f"all {of:,}", low, high)
        lines.append(Line(f"median of all {of:,}", "median", middle))
    caption = f"Mixture {symbol} by round, mean over seeds.{few}"
    chart = Chart(
        key, f"{name}: mixture", rounds, lines, unit=symbol, caption=caption, span=(-0.03, 1.03), band=band, keyed=True
    )
    return chart.figure()


def _quantiles(table: np.ndarray, at: Sequence[float]) -> np.ndarray:
    """[N, R] -> [len(at), R], NaN where a round has none"""
    found = np.full((len(at), table.shape[1]), np.nan)
    known = np.isfinite(table).any(0)
    found[:, known] = np.nanquantile(table[:, known], at, axis=0)
    return found


def _conflict(contender: ContenderRecord, some: str) -> str:
    pairs, (degenerate, problems) = all_pairs(contender), plain_means(contender)
    caption = "Conflict."
    if pairs:
        caption = f"Conflict: {100 * pairs.negative:.0f} % of pairs point against each other."
        if some:
            caption += (
                f"{some} All {pairs.count:,} pairs: mean {pairs.mean:+.2f}, nine of ten between {pairs.low:+.2f} and"
                f" {pairs.high:+.2f}."
            )
    if contender.settings.get("options", {}).get("coordination"):
        caption += f" Coordination gave way to the plain mean in {degenerate:,} of {problems:,} problems."
    return caption
