"""Result tables written by hand: two scenarios, two tasks, two seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from msmtrec.evaluation.compare import Comparison
from msmtrec.evaluation.quality import QUALITIES
from msmtrec.evaluation.support import Support
from msmtrec.record.results import MEAN, Cell, Pair, Results

LINES = (("a", "click"), ("a", "buy"), ("b", "click"), ("b", "buy"))
NAN = float("nan")


def compared(difference: float, p_value: float = 0.5, width: float = 0.02, untested: str = "") -> Comparison:
    if untested:
        return Comparison(difference, 2, 0.01, NAN, df=NAN, p_value=NAN, low=NAN, high=NAN, untested=untested)
    low, high = difference - width, difference + width
    return Comparison(difference, 2, 0.01, 0.01, df=9.0, p_value=p_value, low=low, high=high)


def made(
    aucs: Mapping[str, list[tuple[float | None, float | None]]],
    tests: Mapping[str, list[Comparison]],
    counted: tuple[bool, ...] = (True, True, True, True),
) -> Results:
    """A table of contenders, the first of which is the reference.

    Args:
        aucs: contender -> (seed 0, seed 1) of each of LINES.
        tests: contender -> its comparison with the reference on each of LINES, and on the mean.
    """
    reference, *others = aucs
    cells, qualities = {}, {}
    for name, values in aucs.items():
        table = np.array(values, float)
        mean = tuple(table[list(counted)].mean(0).tolist())
        found = [*tests[name]] if name in tests else [None] * 5
        cells[name] = tuple(Cell(auc, one) for auc, one in zip([*values, mean], found, strict=True))
        rows = [*values, mean]
        qualities[name] = {figure: tuple(rows) for figure in QUALITIES}
    pairs = [Pair(name, reference, tests[name][-1], 0.03, family=True) for name in others]
    return Results(
        "made",
        (*LINES, MEAN),
        cells,
        reference,
        support=tuple(Support(100, 40 if counts else 4, 50, 30, negative_users=30) for counts in counted),
        counted=counted,
        users=80,
        rows=200,
        baselines={"reference": reference},
        chosen=dict.fromkeys(aucs, ""),
        pairs=tuple(pairs),
        qualities=qualities,
    )
