"""Signatures of failure, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from msmtrec.evaluation.compare import holm
from msmtrec.record.reading import ContenderRecord, RunRecord, personalisation
from msmtrec.record.results import SIGNIFICANT
from msmtrec.report.words import p_text

DROP = 0.02
"""AUC lost by aggregation, mean over rounds, that is worth a sentence."""
GAP = 1e-6
"""Duality gap of the conflict problem, in units of the mean update's squared norm, that is worth a sentence."""
GROWTH = 3.0
"""Update norm of the last quarter over that of the second, that is worth a sentence."""


def diagnose(run: RunRecord) -> list[str]:
    """Sentences for the report, contender by contender; empty where nothing looks wrong."""
    return [
        f"{contender.name}: {sentence}"
        for contender in run.contenders.values()
        for sentence in (
            *_below_reference(run, contender),
            *_hurt_by_aggregation(contender),
            *_degenerate(run, contender),
            *_norms(contender),
            *_left_out(contender),
        )
    ]


def _below_reference(run: RunRecord, contender: ContenderRecord) -> Iterator[str]:
    """Lines below the reference, Holm-corrected over the contender's lines: a report has many of them."""
    cells = run.results.cells[contender.name][:-1]
    corrected = holm([cell.compared.p_value if cell.compared else math.nan for cell in cells])
    for (scenario, task), cell, p in zip(run.results.lines[:-1], cells, corrected, strict=True):
        if cell.mean_difference < 0 and p < SIGNIFICANT:
            yield (
                f"scenario {scenario}, {task} is below {run.results.reference} by {-100 * cell.mean_difference:.2f}"
                f" points (p {p_text(p)}, corrected over the contender's lines): too much sharing for it"
            )


def _hurt_by_aggregation(contender: ContenderRecord) -> Iterator[str]:
    found: dict[str, dict[str, list[float]]] = {}
    for m in contender.metrics:
        if m["stage"] in ("before", "after") and m["auc"] is not None:
            found.setdefault(m["scenario"], {}).setdefault(m["stage"], []).append(m["auc"])
    for scenario, stages in found.items():
        if len(stages) == 2 and np.mean(stages["before"]) - np.mean(stages["after"]) > DROP:
            drop = 100 * (np.mean(stages["before"]) - np.mean(stages["after"]))
            yield (
                f"scenario {scenario} loses {drop:.1f} validation points in aggregation on average:"
                " bad normalisation or over-averaging"
            )


def _degenerate(run: RunRecord, contender: ContenderRecord) -> Iterator[str]:
    found = personalisation(contender, run.scenarios)
    if found is None or len(run.scenarios) < 2 or found[2].shape[1] < 3:
        return
    symbol, _, table = found
    spread = float(np.nanmax(np.nanstd(table, 0)))
    if spread < 1e-3:
        yield f"{symbol} is the same for every scenario in every round: personalisation does nothing"
    elif symbol == "α" and spread < 0.02:
        yield f"all {symbol} move together (largest spread between scenarios {spread:.3f}): hardly any personalisation"


def _norms(contender: ContenderRecord) -> Iterator[str]:
    norms: dict[str, list[float]] = {}
    for _, found in contender.diagnostics():
        for scenario, norm in found.get("update_norms", {}).items():
            norms.setdefault(scenario, []).append(norm)
    for scenario, values in norms.items():
        quarter = len(values) // 4
        if quarter and min(values) > 0:
            growth = np.mean(values[-quarter:]) / np.mean(values[quarter : 2 * quarter])
            if growth > GROWTH:
                yield f"updates of scenario {scenario} grow {growth:.1f}-fold: lower the learning rate"


def _left_out(contender: ContenderRecord) -> Iterator[str]:
    rejected = sorted({reason for _, found in contender.diagnostics() for reason in found.get("rejected", [])})
    stale = sorted({name for _, found in contender.diagnostics() for name in found.get("stale", [])})
    unchecked = sorted(
        {
            name
            for _, found in contender.diagnostics()
            for key in ("unchecked/experts", "unchecked/towers")
            for name in found.get(key, [])
        }
    )
    gap = max((found.get("duality_gap", 0.0) for _, found in contender.diagnostics()), default=0.0)
    if gap > GAP:
        yield f"the conflict problem was solved to a duality gap of {gap:.0e} |m|² only"
    if rejected:
        yield f"{len(rejected)} uploads were rejected, the first: {rejected[0]}"
    if stale:
        yield f"too old to count at least once: {', '.join(stale)}"
    if unchecked:
        yield f"mixture not checked for want of held-out rows: {', '.join(unchecked)}"
