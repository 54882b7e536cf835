"""report.html: one self-contained page from a run directory alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from msmtrec.evaluation.compare import Comparison
from msmtrec.record import directory
from msmtrec.record.reading import RunRecord, read_run
from msmtrec.record.results import Pair, Results
from msmtrec.report.costs import costs
from msmtrec.report.curves import learning_curves
from msmtrec.report.diagnosis import diagnose
from msmtrec.report.relations import relations
from msmtrec.report.words import baseline_titles, correction, drawn, gaps, p_text, points, span


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
        tests=_tests(run.results),
        pairs=_pairs(run.results),
        curves=learning_curves(run),
        relations=relations(run),
        span=_steps,
        costs=[costs(contender) for contender in run.contenders.values()],
        warnings=[*run.results.notes, *gaps(run.results), *diagnose(run)],
        data=_data(run),
    )
    directory.write_atomic(folder / directory.REPORT, page)
    return folder / directory.REPORT


def _number(value: float, pattern: str = "{:.4f}") -> str:
    return "–" if math.isnan(value) else pattern.format(value)


def _table(run: RunRecord) -> list[dict[str, Any]]:
    lines = []
    for n, (scenario, task) in enumerate(run.results.labels):
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
    """Against the reference, line by line, for every other contender; the mean with its corrected p."""
    found = []
    for contender, cells in run.results.cells.items():
        if contender != run.results.reference:
            lines = [_compared(c.compared, c.compared.p_value, c.sign) for c in cells[:-1] if c.compared]
            mean = _test(run.results.pair(contender, run.results.reference))
            found.append({"contender": contender, "cells": [*lines, mean]})
    return found


def _compared(compared: Comparison, p_value: float, sign: str) -> dict[str, str]:
    return {
        "points": points(compared),
        "p": p_text(p_value) if compared.tested else "",
        "span": span(compared),
        "sign": sign,
    }


def _tests(results: Results) -> dict[str, Any]:
    """The declared tests on the mean line: every contender against each baseline."""
    titles = baseline_titles(results)
    rows = [
        {"contender": contender, "cells": [_test(results.pair(contender, name)) for name in titles]}
        for contender in results.cells
        if results.pairs
    ]
    return {"titles": titles, "rows": rows, "correction": correction(results), "drawn": drawn(results)}


def _test(pair: Pair | None) -> dict[str, str]:
    if pair is None:
        return {"points": "", "p": "", "span": "", "sign": ""}
    return _compared(pair.compared, pair.p_value, pair.sign)


def _pairs(results: Results) -> list[dict[str, Any]]:
    """Row minus column on the mean line, contenders both, without a test; empty where there is one only."""
    return [
        {
            "contender": one,
            "cells": [points(pair.compared) if (pair := results.pair(one, two)) else "" for two in results.cells],
        }
        for one in results.cells
        if results.pairs
    ]


def _steps(found: tuple[int, int]) -> str:
    low, high = found
    return f"{low:,}" if low == high else f"{low:,} – {high:,}"


def _data(run: RunRecord) -> dict[str, Any]:
    variant = next((v for name, v in run.data.items() if name != "pooled"), None) or next(iter(run.data.values()))
    return {
        "name": variant["name"],
        "origin": variant["origin"],
        "notes": variant["notes"],
        "fingerprints": {name: found["fingerprint"] for name, found in run.data.items()},
        "scenarios": variant["scenarios"],
    }
