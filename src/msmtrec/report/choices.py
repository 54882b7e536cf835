"""What validation could not settle: a grid too narrow, too few rounds, an AUC that is none."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from msmtrec.record.reading import ContenderRecord, RunRecord

LATE = 0.25
"""Share of the scenarios with their best round among the last ones that is worth a sentence."""
ERRORS = 2.0
"""Standard errors above .5 that an AUC needs to be told from chance."""


def grid_edge(contender: ContenderRecord) -> Iterator[str]:
    """The chosen value is the smallest or largest number of its grid. 0 is no edge: nothing lies below it."""
    chosen = dict(_flat(contender.settings))
    for key, values in _grid(contender.candidates.values()).items():
        value = chosen.get(key)
        if value not in (min(values), max(values)) or value == min(values) == 0:
            continue
        end, beyond = ("smallest", "smaller") if value == min(values) else ("largest", "larger")
        listed = ", ".join(f"{v:g}" for v in values)
        yield f"{key}={value:g} is the {end} value tried ({listed}): a {beyond} one may be better"


def _grid(candidates: Collection[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Key -> the numbers that were tried, for the keys in which the candidates differ."""
    found: dict[str, set[float]] = {}
    for candidate in candidates:
        for key, value in _flat(candidate):
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in found.items() if len(values) > 1}


def _flat(settings: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def rounds_exhausted(contender: ContenderRecord) -> Iterator[str]:
    """The rounds ran out while scenarios still got better: their best one is among the last ones.

    The last ones are those of `patience`, else a tenth of all. A quarter of the scenarios must end there, and twice
    as many as would if the best round were any round.
    """
    train = contender.settings.get("train", {})
    planned = train.get("rounds")
    best = best_rounds(contender.metrics)
    if not planned or best.is_empty():
        return
    last = min(train.get("patience") or max(1, planned // 10), planned)
    late = best.filter(pl.col("round") > planned - last)["scenario"].n_unique()
    scenarios = best["scenario"].n_unique()
    share = min(1.0, max(LATE, 2 * last / planned))
    if last < planned and late >= max(min(2, scenarios), share * scenarios):
        among = "as the last" if last == 1 else f"among the last {last}"
        yield f"{late:,} of {scenarios:,} scenarios have their best round {among} of {planned}: more rounds may help"


def best_rounds(metrics: pl.DataFrame) -> pl.DataFrame:
    """(scenario, round): the federation's best round, median over seeds, by mean validation AUC over tasks."""
    scores = (
        metrics.filter(pl.col("stage") == "after", pl.col("auc").is_not_null())
        .group_by("scenario", "seed", "round")
        .agg(pl.col("auc").mean())
        .sort("round")
    )
    each = scores.group_by("scenario", "seed", maintain_order=True).agg(pl.col("round").get(pl.col("auc").arg_max()))
    return each.group_by("scenario", maintain_order=True).agg(pl.col("round").median()).sort("scenario")


def at_chance(run: RunRecord) -> tuple[list[str], dict[str, list[str]]]:
    """Sentences on scenarios × tasks whose best validation AUC is not told from .5: for all contenders; for one."""
    found = {name: _lines_at_chance(contender) for name, contender in run.contenders.items()}
    everywhere = set.intersection(*(set(lines) for lines in found.values())) if found else set()
    shared = [
        f"scenario {scenario}, {task}: no contender's validation AUC can be told from chance (best {_auc(best, floor)};"
        f" {positives:,} positives among {rows:,} rows)"
        for scenario, task in run.results.lines
        if (scenario, task) in everywhere
        for best, floor, positives, rows in [max(lines[scenario, task] for lines in found.values())]
    ]
    own = {
        name: list(_own(run, {line: figures for line, figures in lines.items() if line not in everywhere}))
        for name, lines in found.items()
    }
    return shared, own


def _own(run: RunRecord, lines: Mapping[tuple[str, str], tuple[float, float, int, int]]) -> Iterator[str]:
    first = next((line for line in run.results.lines if line in lines), None)
    if first:
        yield (
            f"validation AUC cannot be told from chance for {len(lines):,} of {len(run.results.lines) - 1:,} lines of"
            f" the table, the first: {first[0]}, {first[1]} (best {_auc(*lines[first][:2])})"
        )


def null_error(positives: int, negatives: int) -> float:
    """Standard error of an AUC whose true value is .5 (Hanley and McNeil 1982, with Q1 = Q2 = 1/3)."""
    return math.sqrt((positives + negatives + 1) / (12 * positives * negatives))


def _auc(best: float, floor: float) -> str:
    return f"{best:.3f}, chance reaches {floor:.3f}"


def _lines_at_chance(contender: ContenderRecord) -> dict[tuple[str, str], tuple[float, float, int, int]]:
    """(scenario, task) -> best AUC over rounds, mean over seeds; what chance reaches; positives; rows."""
    known = contender.metrics.filter(
        pl.col("stage") != "before",
        pl.col("auc").is_not_null(),
        pl.col("positives") > 0,
        pl.col("positives") < pl.col("rows"),
    )
    best = (
        known.group_by("scenario", "task", "seed")
        .agg(pl.col("auc").max(), pl.col("positives").max(), pl.col("rows").max())
        .group_by("scenario", "task")
        .agg(pl.col("auc").mean(), pl.col("positives").max(), pl.col("rows").max())
    )
    found = {}
    for scenario, task, auc, positives, rows in best.iter_rows():
        floor = 0.5 + ERRORS * null_error(positives, rows - positives)
        if auc < floor and not np.isnan(auc):
            found[scenario, task] = (auc, floor, positives, rows)
    return found
