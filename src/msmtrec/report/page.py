"""report.html: one self-contained page from a run directory alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from msmtrec.record import directory
from msmtrec.record.reading import RunRecord, read_run
from msmtrec.record.results import SIGNIFICANT, Cell, Pair, Results
from msmtrec.report.costs import costs
from msmtrec.report.curves import learning_curves
from msmtrec.report.diagnosis import diagnose
from msmtrec.report.relations import relations


def write_report(folder: Path) -> Path:
    """Render the page; nothing on it needs a network.

    Raises:
        UserError: the folder is no finished run.
    """
    run = read_run(folder)
    environment = Environment(loader=PackageLoader("msmtrec.report"), autoescape=select_autoescape(["j2", "html"]))
    page = environment.get_template("page.html.j2").render(
        run=run,
        results=run.results,
        table=_table(run),
        differences=_differences(run),
        pairs=_pairs(run.results),
        curves=learning_curves(run),
        relations=relations(run),
        costs=[costs(contender) for contender in run.contenders.values()],
        warnings=[*run.results.notes, *diagnose(run)],
        data=_data(run),
    )
    directory.write_atomic(folder / directory.REPORT, page)
    return folder / directory.REPORT


def _number(value: float, pattern: str = "{:.4f}") -> str:
    return "–" if math.isnan(value) else pattern.format(value)


def _table(run: RunRecord) -> list[dict[str, Any]]:
    lines = []
    for n, (scenario, task) in enumerate(run.results.lines):
        cells = [cells[n] for cells in run.results.cells.values()]
        best = max((c.mean for c in cells if not math.isnan(c.mean)), default=math.nan)
        lines.append(
            {
                "scenario": scenario,
                "task": task,
                "cells": [{"mean": _number(c.mean), "sd": _number(c.sd), "best": c.mean == best} for c in cells],
            }
        )
    return lines


def _differences(run: RunRecord) -> list[dict[str, Any]]:
    """Against the reference, line by line, for every other contender."""
    found = []
    for contender, cells in run.results.cells.items():
        if cells[-1].seeds is not None:
            found.append({"contender": contender, "cells": [_difference(cell) for cell in cells]})
    return found


def _difference(cell: Cell) -> dict[str, str]:
    seeds, users = cell.seeds, cell.users
    if seeds is None:
        return {"points": "–", "seeds": "", "users": "", "sign": ""}
    sign = ""
    if users is not None and not math.isnan(users.low):
        sign = "up" if users.low > 0 else "down" if users.high < 0 else ""
    span = f"{100 * users.low:+.2f} … {100 * users.high:+.2f}" if users and not math.isnan(users.low) else "–"
    return {
        "points": _number(100 * seeds.mean, "{:+.2f}"),
        "seeds": _number(seeds.p_value, "{:.3f}"),
        "users": span,
        "sign": sign,
    }


def _pairs(results: Results) -> list[dict[str, Any]]:
    """Row minus column on the mean line, contenders both; empty where there is one only."""
    return [
        {"contender": one, "cells": [_pair(results.pair(one, two)) for two in results.cells]}
        for one in results.cells
        if results.pairs
    ]


def _pair(pair: Pair | None) -> dict[str, str]:
    if pair is None:
        return {"points": "", "p": "", "sign": ""}
    clear = pair.p_value < SIGNIFICANT
    return {
        "points": _number(100 * pair.seeds.mean, "{:+.2f}"),
        "p": _number(pair.p_value, "{:.3f}"),
        "sign": ("up" if pair.seeds.mean > 0 else "down") if clear else "",
    }


def _data(run: RunRecord) -> dict[str, Any]:
    variant = next((v for name, v in run.data.items() if name != "pooled"), None) or next(iter(run.data.values()))
    return {
        "name": variant["name"],
        "origin": variant["origin"],
        "notes": variant["notes"],
        "fingerprints": {name: found["fingerprint"] for name, found in run.data.items()},
        "scenarios": variant["scenarios"],
    }
