"""Several runs side by side in one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msmtrec.base.errors import UserError
from msmtrec.base.yaml import dump_yaml
from msmtrec.evaluation.compare import SMALLEST
from msmtrec.record.results import SIGNIFICANT, Pair
from msmtrec.record.several import OneRun, Several, read_several
from msmtrec.report.figure import Figure, embedded
from msmtrec.report.page import page, save, writable
from msmtrec.report.ranks import rank_figure
from msmtrec.report.words import p_text, points, span

BESIDE = "side-by-side.html"
"""Beside the first run, unless another place is named."""
RANKED = 30
"""Columns of the diagram; of more, those with the best validation AUC."""


def write_beside(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Render the page of two or more runs.

    Raises:
        UserError: fewer than two; one is no finished run or on other rows; the page cannot be written.
    """
    if len(folders) < 2:
        raise UserError("name at least two runs to put side by side")
    place = out or folders[0].absolute().parent / BESIDE
    writable(place)
    return save(place, render_beside(read_several(folders)))


def render_beside(found: Several) -> str:
    """The page as text."""
    ranks, left_out = _ranks(found)
    compared = {contender: found.against_first(contender) for contender in found.contenders}
    means = _means(found, compared)
    figures = {figure.key: figure.as_dict() for figure in [*([ranks] if ranks else []), means]}
    first = found.runs[0]
    return page(
        "beside.html.j2",
        json=embedded({"name": "side by side", "figures": figures}),
        runs=[_facts(run) for run in found.runs],
        same_training=found.same_training,
        counted=len(found.counted),
        lines=len(first.results.lines) - 1,
        means=_table(found, compared),
        ranks=ranks,
        left_out=left_out,
        settings=[(key, [_text(value) for value in values]) for key, values in found.settings()],
        data=next(iter(first.data.values()))["name"],
        fingerprints={name: raw["fingerprint"][:12] for name, raw in first.data.items()},
        tests=first.results,
    )


def _facts(run: OneRun) -> dict[str, Any]:
    cells = run.results.cells
    return {
        "name": run.name,
        "title": run.results.name,
        "contenders": len(cells),
        "seeds": len(next(iter(cells.values()))[0].auc),
        "folder": str(run.folder),
    }


def _table(found: Several, compared: dict[str, dict[str, Pair]]) -> list[dict[str, Any]]:
    """A line a contender, a cell a run."""
    rows = []
    for contender in found.contenders:
        cells = []
        for run in found.runs:
            if contender not in run.results.cells:
                cells.append({"auc": "", "sd": "", "points": "", "span": "", "p": "", "sign": ""})
                continue
            values, pair = found.per_seed(run, contender), compared[contender].get(run.name)
            cells.append({"auc": _mean(values), "sd": _sd(values), **_difference(pair)})
        rows.append({"contender": contender, "cells": cells})
    return rows


def _difference(pair: Pair | None) -> dict[str, str]:
    if pair is None:
        return {"points": "", "span": "", "p": "", "sign": ""}
    found = pair.compared
    if abs(found.difference) < SMALLEST and not found.tested:
        return {
            "points": "=",
            "span": "the same scores" if found.untested == "no spread" else found.untested,
            "p": "",
            "sign": "",
        }
    clear = found.tested and found.p_value < SIGNIFICANT
    return {
        "points": points(found),
        "span": span(found),
        "p": p_text(found.p_value) if found.tested else "",
        "sign": ("up" if found.difference > 0 else "down") if clear else "",
    }


def _means(found: Several, compared: dict[str, dict[str, Pair]]) -> Figure:
    """The table's numbers, to be saved."""
    rows = []
    for contender, run in found.columns():
        values, pair = found.per_seed(run, contender), compared[contender].get(run.name)
        difference: list[float | None] = [None] * 4
        if pair:
            compared_pair = pair.compared
            difference = [compared_pair.difference, compared_pair.low, compared_pair.high, compared_pair.p_value]
        rows.append([contender, run.name, float(values.mean()), *difference])
    columns = ["contender", "run", "mean AUC", "difference to the first run", "low", "high", "p"]
    return Figure("means", "mean AUC by run", "", columns, rows=rows)


def _ranks(found: Several) -> tuple[Figure | None, int]:
    """(the diagram, how many columns it leaves out); the same figures in several runs are one column."""
    columns = found.columns()
    if not found.counted:
        return None, 0
    merged: dict[tuple[str, bytes], list[OneRun]] = {}
    for (contender, run), values in zip(columns, found.table(columns).T, strict=True):
        merged.setdefault((contender, np.ascontiguousarray(values).tobytes()), []).append(run)
    kept = [(contender, runs) for (contender, _), runs in merged.items()]
    if len(kept) > RANKED:
        best = sorted(kept, key=lambda column: -column[1][0].validation(column[0]))[:RANKED]
        kept = [column for column in kept if column in best]
    names = [f"{contender} · {_of(runs, found)}" for contender, runs in kept]
    figure = rank_figure("ranks", names, found.table([(contender, runs[0]) for contender, runs in kept]))
    return figure, len(merged) - len(kept)


def _of(runs: Sequence[OneRun], found: Several) -> str:
    if len(runs) == len(found.runs):
        return "both" if len(runs) == 2 else "all"
    return " = ".join(run.name for run in runs)


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return dump_yaml(value).strip()
    return "–" if value is None else str(value)


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.4f}" if len(values) and math.isfinite(values.mean()) else "–"


def _sd(values: np.ndarray) -> str:
    return f"{values.std(ddof=1):.4f}" if len(values) > 1 else "–"
