"""The page's tables as plain values: what a template prints as it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.aggregation.summaries import LISTED
from msmtrec.evaluation.compare import Comparison
from msmtrec.record.ablation import Variant
from msmtrec.record.reading import RunRecord
from msmtrec.record.results import Pair, Results
from msmtrec.report.ablation import gain, notes, seeds
from msmtrec.report.ablation import parts as titled
from msmtrec.report.expected import HEADS, held
from msmtrec.report.figure import Figure
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


def ablation(run: RunRecord) -> dict[str, Any] | None:
    """Every variant beside what it was made of, by part; None where the run is no ablation.

    `table` has the numbers behind it.
    """
    if run.results.ablation is None:
        return None
    groups: list[dict[str, Any]] = []
    for title, one in zip(titled(run.ablation), run.ablation, strict=True):
        if title or not groups:
            groups.append({"title": title, "rows": []})
        groups[-1]["rows"].append(
            {
                "contender": one.column,
                "validation": (_number(float(one.validation.mean())), _number(_sd(one.validation))),
                "gain": gain(one),
                "test": (_number(one.test.mean), _number(one.test.sd)),
                "compared": _test(one.compared) | ({} if one.compared and one.compared.family else {"p": ""}),
            }
        )
    return {
        "groups": groups,
        "notes": [f"mean and standard deviation over {seeds(run.ablation)}", *notes(run.results)],
        "left_out": run.results.ablation.left_out,
        "table": Figure("ablation", "ablation", "", _ABLATION, rows=[_numbers(one) for one in run.ablation]),
    }


_ABLATION = (
    *("part", "contender", "changed from", "validation", "validation sd", "validation difference"),
    *("test", "test sd", "difference", "low", "high", "p", "untested"),
)


def _numbers(one: Variant) -> list[Any]:
    gained, test = None, list[Any]([None, None, None, None, ""])
    if one.compared is not None:
        pair, c = one.compared, one.compared.compared
        gained, test = one.gain, [c.difference, c.low, c.high, pair.p_value, c.untested]
    validation = float(one.validation.mean()), _sd(one.validation)
    return [one.part, one.column, one.was, *validation, gained, one.test.mean, one.test.sd, *test]


def _sd(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def expected(run: RunRecord) -> dict[str, Any] | None:
    """Figures of others beside those of the run; None where its config has none. `table` has the numbers."""
    if run.expected is None:
        return None
    found = list(held(run.results, run.expected))
    rows = [[h.contender, *h.line, h.expected, h.measured, h.measured - h.expected, h.texts[-1]] for h in found]
    return {
        "source": run.expected["source"],
        "tolerance": f"{run.expected['tolerance']:g}",
        "rows": [h.texts for h in found],
        "table": Figure("expected", "expected", "", [*HEADS[:-1], "said"], rows=rows),
    }


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
