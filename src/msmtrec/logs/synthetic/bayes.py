"""How well the best possible model does on made-up logs: the AUC of the true probability itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from itertools import groupby
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.logs.synthetic.truth import Values

_BINS = 1 << 16
_WIDEST = 20.0
"""Logits from which all are taken as equal. Bins are this wide: 40 / 65,536."""


@dataclass(frozen=True)
class Best:
    """The Bayes-optimal score of one scenario and task on its test rows: the true probability of each row.

    Args:
        rows: test rows; rate: mean true probability.
        auc: of the true probability against the labels drawn.
        expected_auc: over all labels that the probabilities could have given (positive-negative pairs weighted with
            how probable they are). A model of the truth has this AUC on average; `auc` scatters around it.
    """

    rows: int
    rate: float
    auc: float
    expected_auc: float

    def as_dict(self) -> dict[str, Any]:
        values = vars(self).items()
        return {name: None if isnan(value) else value for name, value in values}


@dataclass(frozen=True)
class Truth:
    """(scenario, task) -> Best, in table order. CTCVR's true probability is p(click) · p(conversion | click)."""

    cells: Mapping[tuple[str, str], Best]

    def mean(self, task: str | None = None) -> float:
        """Expected AUC over scenarios (and tasks), those without one left out."""
        found = [best.expected_auc for (_, of), best in self.cells.items() if task in (None, of)]
        return float(np.nanmean(found)) if not all(map(isnan, found)) else float("nan")

    def renamed(self, names: Mapping[str, str]) -> Truth:
        """With other names for the scenarios."""
        return Truth({(names[scenario], task): best for (scenario, task), best in self.cells.items()})

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Scenario -> task -> figures."""
        found: dict[str, dict[str, Any]] = {}
        for (scenario, task), best in self.cells.items():
            found.setdefault(scenario, {})[task] = best.as_dict()
        return found


def _zeros() -> NDArray[np.float64]:
    return np.zeros(_BINS)


@dataclass
class Meter:
    """One scenario and task, chunk by chunk, in memory that does not grow: rows are counted in fine bins of the logit.

    Pairs within a bin count half; their true probabilities differ by a fraction of a thousandth.
    """

    rows: int = 0
    all: NDArray[np.float64] = field(default_factory=_zeros)
    drawn: NDArray[np.float64] = field(default_factory=_zeros)
    """Rows with label 1 in each bin."""
    likely: NDArray[np.float64] = field(default_factory=_zeros)
    """Sum of the probabilities in each bin."""
    _: KW_ONLY
    itself: float = 0.0
    """How probable a pair of a row with itself would be; there is no such pair."""

    def add(self, probability: Values, labels: Values) -> None:
        """[N] more rows."""
        from scipy.special import logit  # not before it is needed: a fifth of a second

        place = (logit(np.asarray(probability, np.float64)) + _WIDEST) * (_BINS / 2 / _WIDEST)
        bins = np.clip(place, 0, _BINS - 1).astype(np.intp)
        self.rows += len(bins)
        self.all += np.bincount(bins, minlength=_BINS)
        self.drawn += np.bincount(bins, weights=labels, minlength=_BINS)
        self.likely += np.bincount(bins, weights=probability, minlength=_BINS)
        self.itself += float((probability * (1 - probability)).sum())

    def best(self) -> Best:
        rate = float(self.likely.sum()) / self.rows if self.rows else float("nan")
        return Best(self.rows, rate, self._auc(self.drawn), self._auc(self.likely, self.itself))

    def _auc(self, ups: NDArray[np.float64], itself: float = 0.0) -> float:
        downs = self.all - ups
        pairs = float(ups.sum() * downs.sum()) - itself
        above = float((ups * (np.cumsum(downs) - downs / 2)).sum()) - itself / 2
        return above / pairs if pairs > 0 else float("nan")


Scored = tuple[str, Mapping[str, tuple[Values, Values]]]
"""Test rows of a scenario: task -> ([N] true probabilities, [N] labels)."""


def bayes(chunks: Iterable[Scored]) -> Truth:
    """From all test rows, scenario by scenario."""
    cells: dict[tuple[str, str], Best] = {}
    for scenario, own in groupby(chunks, key=lambda chunk: chunk[0]):
        meters: dict[str, Meter] = {}
        for _, tasks in own:
            for task, (probability, labels) in tasks.items():
                meters.setdefault(task, Meter()).add(probability, labels)
        cells |= {(scenario, task): meter.best() for task, meter in meters.items()}
    return Truth(cells)
