"""The page's tables as plain values: what a template prints as it is."""

from __future__ import annotations

import math
from typing import Any

from msmtrec.aggregation.summaries import LISTED
from msmtrec.evaluation.compare import Comparison
from msmtrec.record.reading import RunRecord
from msmtrec.record.results import Pair, Results
from msmtrec.report.qualities import CAPTION, WITH_AUC, parts
from msmtrec.report.words import baseline_titles, correction, drawn, p_text, points, span


def shown_lines(run: RunRecord) -> list[int]:
    """Lines that the page has from the start: those of the largest scenarios, and the mean. The script has all."""
    names = set(run.largest(LISTED))
    lines = run.results.lines
    return [n for n, (scenario, _) in enumerate(lines) if scenario in names or n == len(lines) - 1]


def auc_table(run: RunRecord) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds; the best of a line is marked."""
    lines = []
    for n in shown_lines(run):
        cells = [cells[n] for cells in run.results.cells.values()]
        best = max((c.mean for c in cells if not math.isnan(c.mean)), default=math.nan)
        lines.append(
            {
                "label": run.results.labels[n],
                "number": n if n < len(run.results.support) else None,
                "cells": [{"mean": _number(c.mean), "sd": _number(c.sd), "best": c.mean == best} for c in cells],
            }
        )
    return lines


def differences(run: RunRecord) -> list[dict[str, Any]]:
    """Against the reference, line by line, for every other contender; the mean with its corrected p."""
    results, last = run.results, len(run.results.lines) - 1
    found = []
    for n in shown_lines(run):
        cells = []
        for contender, own in results.cells.items():
            if contender == results.reference:
                continue
            compared = own[n].compared
            pair = results.pair(contender, results.reference) if n == last else None
            if compared is None or n == last:
                cells.append(_test(pair))
            else:
                cells.append(_compared(compared, compared.p_value, own[n].sign))
        found.append({"label": results.labels[n], "number": n if n < len(results.support) else None, "cells": cells})
    return found


def tests(results: Results) -> dict[str, Any]:
    """The declared tests on the mean line: every contender against each baseline."""
    titles = baseline_titles(results)
    rows = [
        {"contender": contender, "cells": [_test(results.pair(contender, name)) for name in titles]}
        for contender in results.cells
        if results.pairs
    ]
    return {"titles": titles, "rows": rows, "correction": correction(results), "drawn": drawn(results)}


def pairs(results: Results) -> list[dict[str, Any]]:
    """Row minus column on the mean line, contenders both, without a test; empty where there is one only."""
    return [
        {
            "contender": one,
            "cells": [points(pair.compared) if (pair := results.pair(one, two)) else "" for two in results.cells],
        }
        for one in results.cells
        if results.pairs
    ]


def qualities(results: Results) -> dict[str, Any]:
    """Figures beside AUC: on the mean first, then task by task where there are several; no parts where a run has none.

    A cell is (mean, standard deviation over seeds).
    """
    found = [
        (
            what,
            {
                name: [tuple(_number(value) for value in figures[key]) for key in WITH_AUC]
                for name, figures in contenders.items()
            },
        )
        for what, contenders in parts(results)
        if results.qualities
    ]
    return {"titles": list(WITH_AUC.values()), "parts": found, "caption": CAPTION}


def data_facts(run: RunRecord) -> dict[str, Any]:
    """Of data.json: name, origin, notes, fingerprints, and the scenarios' rows, of the largest only where many."""
    variant = next((v for name, v in run.data.items() if name != "pooled"), None) or next(iter(run.data.values()))
    scenarios = variant["scenarios"]
    largest = set(run.largest(LISTED))
    return {
        "name": variant["name"],
        "origin": variant["origin"],
        "notes": variant["notes"],
        "fingerprints": {name: found["fingerprint"] for name, found in run.data.items()},
        "scenarios": {n: s["rows"] for n, s in scenarios.items() if n in largest or len(scenarios) <= LISTED},
        "of": len(scenarios),
    }


def row_counts(run: RunRecord) -> dict[str, Any]:
    """Rows by scenario and split, of all scenarios, for the page's script."""
    variant = next((v for name, v in run.data.items() if name != "pooled"), None) or next(iter(run.data.values()))
    rows = [[name, *(s["rows"][split] for split in SPLITS)] for name, s in variant["scenarios"].items()]
    return {"title": "rows", "columns": ["scenario", "training rows", "validation", "test"], "rows": rows}


SPLITS = ("train", "validation", "test")


def _number(value: float, pattern: str = "{:.4f}") -> str:
    return "–" if math.isnan(value) else pattern.format(value)


def _compared(compared: Comparison, p_value: float, sign: str) -> dict[str, str]:
    return {
        "points": points(compared),
        "p": p_text(p_value) if compared.tested else "",
        "span": span(compared),
        "sign": sign,
    }


def _test(pair: Pair | None) -> dict[str, str]:
    if pair is None:
        return {"points": "", "p": "", "span": "", "sign": ""}
    return _compared(pair.compared, pair.p_value, pair.sign)
