"""Where a run's contenders stand: ranks over the lines, effect sizes, figures by task, and whom a contender harms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.evaluation.compare import Comparison, holm
from msmtrec.evaluation.effect import separation
from msmtrec.evaluation.quality import QUALITIES
from msmtrec.evaluation.ranks import Ranking, ranked
from msmtrec.record.results import SIGNIFICANT, Results

Array = NDArray[np.float64]
FIGURES = ("auc", *QUALITIES)
HARM = -0.01
"""In AUC. A line whose interval ends below this may lose more than a point: that is not excluded."""


def ranking(results: Results) -> Ranking | None:
    """Of the contenders' mean AUC over seeds on the lines that the mean counts."""
    return ranked(list(results.cells), line_means(results))


def line_means(results: Results) -> Array:
    """[counted lines, contenders] mean test AUC over seeds"""
    at = counted(results)
    return np.array([[cells[n].mean for cells in results.cells.values()] for n in at]).reshape(
        len(at), len(results.cells)
    )


def counted(results: Results, task: str | None = None) -> list[int]:
    """Lines that the mean counts, or those of one task among them."""
    lines = zip(results.lines[:-1], results.counted, strict=True)
    return [n for n, ((_, name), counts) in enumerate(lines) if counts and task in (None, name)]


def effect(results: Results, first: str, second: str) -> float:
    """How many standard deviations first separates the classes better than second (`separation`): mean over the lines
    that the mean counts, each of its mean AUC over seeds. NaN without such a line, or where an AUC is 0 or 1."""
    at = counted(results)
    one, two = (separation(np.array([results.cells[name][n].mean for n in at])) for name in (first, second))
    known = len(at) and np.isfinite(one).all() and np.isfinite(two).all()
    return float((one - two).mean()) if known else math.nan


def by_task(results: Results, contender: str) -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """Task -> figure of FIGURES -> (mean, standard deviation) over seeds of the mean over the task's counted lines.

    NaN where the figure does not exist on every such line and seed; the deviation also with one seed.
    """
    tasks = dict.fromkeys(task for _, task in results.lines[:-1])
    return {
        task: {name: _mean_sd(_values(results, contender, name)[counted(results, task)].mean(0)) for name in FIGURES}
        if counted(results, task)
        else dict.fromkeys(FIGURES, (math.nan, math.nan))
        for task in tasks
    }


def on_mean(results: Results, contender: str) -> Mapping[str, tuple[float, float]]:
    """Figure -> (mean, standard deviation) over seeds, on the mean line."""
    return {name: _mean_sd(_values(results, contender, name)[-1]) for name in FIGURES}


def _values(results: Results, contender: str, figure: str) -> Array:
    """[lines, seeds], NaN where there is none"""
    if figure == "auc":
        return np.array([cell.auc for cell in results.cells[contender]], float)
    found = results.qualities.get(contender, {}).get(figure)
    return np.array(found, float) if found else np.full((len(results.lines), 1), math.nan)


def _mean_sd(values: Array) -> tuple[float, float]:
    known = len(values) > 1 and not np.isnan(values).any()
    return float(values.mean()), float(values.std(ddof=1)) if known else math.nan


@dataclass(frozen=True)
class Gain:
    """A contender on one line, against the reference.

    Args:
        p_value: Holm-corrected over the contender's lines; NaN where the line is not tested.
    """

    line: tuple[str, str]
    compared: Comparison
    p_value: float

    @property
    def below(self) -> bool:
        """Clearly, at the level."""
        return self.compared.difference < 0 and self.p_value < SIGNIFICANT


def gains(results: Results, contender: str) -> list[Gain]:
    """Line by line; none of the reference itself."""
    lines = zip(results.lines[:-1], results.cells[contender][:-1], strict=True)
    pairs = [(line, cell.compared) for line, cell in lines if cell.compared is not None]
    corrected = holm([compared.p_value for _, compared in pairs])
    return [Gain(line, compared, p) for (line, compared), p in zip(pairs, corrected, strict=True)]


@dataclass(frozen=True)
class Harm:
    """Whether a contender does a scenario harm.

    Args:
        lines: how many have a difference, and how many of these are below the reference.
        clear: below it beyond chance, p Holm-corrected over the contender's lines.
        lowest: the line whose interval reaches lowest; None where none is tested.
        untested: lines without a test.
    """

    lines: int
    below: int
    _: KW_ONLY
    clear: tuple[Gain, ...]
    lowest: Gain | None
    untested: int

    @property
    def excluded(self) -> bool:
        """Lines are tested, none is clearly below, and none may lose more than a point."""
        return self.lowest is not None and not self.clear and self.lowest.compared.low >= HARM


def harm(found: list[Gain]) -> Harm:
    """Of a contender's gains."""
    known = [gain for gain in found if not math.isnan(gain.compared.difference)]
    tested = [gain for gain in known if gain.compared.tested]
    return Harm(
        len(known),
        sum(gain.compared.difference < 0 for gain in known),
        clear=tuple(gain for gain in known if gain.below),
        lowest=min(tested, key=lambda gain: gain.compared.low, default=None),
        untested=len(known) - len(tested),
    )
