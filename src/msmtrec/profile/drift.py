"""How far a feature's distribution moves: population stability index, between scenarios and from training to test.

PSI = Σ_b (p_b − q_b) ln(p_b / q_b) over bins b. Every bin counts half a row more than it holds, so that an empty one
does not make it infinite. Numeric bins are the deciles of the reference; categorical ones the values with the most rows
on both sides together (chosen by either side's share, chance would choose what differs), and all the rest; a missing
value has a bin of its own. With B bins, n and m rows and no shift, PSI is about χ²(B − 1) · (1/n + 1/m) (Yurdakul,
2018), which says how much is chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import chi2

from msmtrec.base.feature import Feature

Array = NDArray[np.float64]
TOP = 20
"""Values of a categorical field with a bin of their own."""
NOTABLE, LARGE = 0.1, 0.25
"""The usual thresholds of PSI."""
_SMOOTHING = 0.5
_CHANCE = 0.999


@dataclass(frozen=True)
class Shift:
    """One feature, the reference against something else.

    Args:
        psi: NaN where one side has no rows.
        chance: what PSI stays below in 99.9 % of cases without a shift, rows taken as independent.
        most: the bin whose share moves most, and its two shares.
    """

    feature: str
    psi: float
    chance: float
    most: tuple[str, float, float] = ("", 0.0, 0.0)

    @property
    def notable(self) -> bool:
        return self.psi >= max(NOTABLE, self.chance)


def psi(expected: Array, actual: Array) -> float:
    """From rows by bin; NaN where one side has none."""
    if not expected.sum() or not actual.sum():
        return float("nan")
    p, q = ((n + _SMOOTHING) / (n + _SMOOTHING).sum() for n in (expected, actual))
    return float(((p - q) * np.log(p / q)).sum())


def shift(feature: str, labels: list[str], expected: Array, actual: Array, *, rows: float | None = None) -> Shift:
    """Compare rows by bin.

    Args:
        rows: what `actual` is worth in independent rows, where it is a weighted sum; default: its sum.
    """
    used = (expected > 0) | (actual > 0)
    expected, actual = expected[used], actual[used]
    n, m = float(expected.sum()), float(actual.sum())
    if not n or not m:
        return Shift(feature, float("nan"), float("nan"))
    worth = m if rows is None else rows
    chance = float(chi2.ppf(_CHANCE, len(expected) - 1)) * (1 / n + 1 / worth) if len(expected) > 1 else 0.0
    p, q = expected / n, actual / m
    at = int(np.abs(p - q).argmax())
    named = [label for label, kept in zip(labels, used, strict=True) if kept]
    return Shift(feature, psi(expected, actual * worth / m), chance, (named[at], float(p[at]), float(q[at])))


Part = tuple[pl.DataFrame, int]
"""Sampled rows, and how many rows they stand for."""


def over_time(feature: Feature, train: pl.DataFrame, test: pl.DataFrame) -> Shift:
    """Training rows as the reference against test rows of one scenario."""
    reference, later = ((rows, rows.height) for rows in (train, test))
    return Pool(feature, {"later": later}).compared(reference)


class Pool:
    """One feature's sampled values of several scenarios, each row with the weight of the rows that it stands for."""

    def __init__(self, feature: Feature, parts: Mapping[str, Part]) -> None:
        self.feature = feature
        self._parts = {name: part for name, part in parts.items() if part[0].height}
        self._whole = self._counted({name: stand_for / rows.height for name, (rows, stand_for) in self._parts.items()})

    def against_others(self, scenario: str) -> Shift:
        """One scenario as the reference against all others."""
        if scenario not in self._parts:
            return Shift(self.feature.name, float("nan"), float("nan"))
        return self.compared(self._parts[scenario], without=scenario)

    def compared(self, reference: Part, without: str | None = None) -> Shift:
        """A reference against the pool, in which a scenario may be left out."""
        own = _counted(self.feature, [(reference[0], 1.0)])
        weight = reference[1] / max(reference[0].height, 1) if without is not None else 0.0
        others = [part for name, part in self._parts.items() if name != without]
        worth = _worth(others)
        labels, expected, actual = own.beside(self._whole, weight, worth)  # type: ignore[arg-type]  # one feature's
        actual[actual < 1e-6 * max(weight, 1.0)] = 0.0
        return shift(self.feature.name, labels, expected, actual, rows=worth)

    def _counted(self, weights: Mapping[str, float]) -> _Numbers | _Names:
        return _counted(self.feature, [(self._parts[name][0], weight) for name, weight in weights.items()])


def _worth(parts: list[Part]) -> float:
    """Kish's effective size of a weighted sample: (Σw)² / Σw²."""
    spread = sum(stand_for**2 / rows.height for rows, stand_for in parts)
    return sum(stand_for for _, stand_for in parts) ** 2 / spread if spread else 0.0


def _counted(feature: Feature, parts: list[tuple[pl.DataFrame, float]]) -> _Numbers | _Names:
    columns = [(rows[feature.name], weight) for rows, weight in parts]
    if feature.kind == "numeric":
        return _Numbers([(values.cast(pl.Float64), weight) for values, weight in columns])
    if feature.has_lists:
        columns = [(values.explode(empty_as_null=True), weight) for values, weight in columns]
    return _Names([(values.cast(pl.String), weight) for values, weight in columns])


class _Numbers:
    """Weighted numbers, sorted."""

    def __init__(self, parts: list[tuple[pl.Series, float]]) -> None:
        known = [(values.drop_nulls().to_numpy(), weight) for values, weight in parts]
        values = np.concatenate([np.empty(0), *(found for found, _ in known)])
        weights = np.concatenate([np.empty(0), *(np.full(len(found), weight) for found, weight in known)])
        order = np.argsort(values, kind="stable")
        self.values, self._sums = values[order], np.append(0.0, np.cumsum(weights[order]))
        self._missing = sum(weight * values.null_count() for values, weight in parts)

    def count(self, edges: Array) -> Array:
        """Weight up to the first edge, up to the second …, above the last, and missing."""
        cuts = np.searchsorted(self.values, edges, side="right")
        return np.append(np.diff(self._sums[[0, *cuts, len(self.values)]]), self._missing)

    def beside(self, other: _Numbers, weight: float, _: float) -> tuple[list[str], Array, Array]:
        """Bins, weights by bin here and there, there without `weight` times what is here."""
        edges = np.unique(np.quantile(self.values, np.arange(1, 10) / 10)) if len(self.values) else np.empty(0)
        texts = [f"{edge:.4g}" for edge in edges]
        between = [f"{low} – {high}" for low, high in pairwise(texts)]
        labels = [f"up to {texts[0]}", *between, f"above {texts[-1]}"] if texts else ["any number"]
        return [*labels, "missing"], self.count(edges), other.count(edges) - weight * self.count(edges)


class _Names:
    """Weight of every value."""

    def __init__(self, parts: list[tuple[pl.Series, float]]) -> None:
        tallies = [
            values.alias("value").value_counts(name="n").with_columns(pl.col("n") * weight) for values, weight in parts
        ]
        empty = pl.DataFrame(schema={"value": pl.String, "n": pl.Float64})
        self.tally = pl.concat([empty, *tallies]).group_by("value").agg(pl.col("n").sum())

    def beside(self, other: _Names, weight: float, worth: float) -> tuple[list[str], Array, Array]:
        """The same; what is there counts as `worth` rows where the most frequent values are chosen."""
        sides = (
            self.tally.select("value", p="n", q=-weight * pl.col("n")),
            other.tally.select("value", p=pl.lit(0.0), q="n"),
        )
        both = pl.concat(sides).group_by("value").agg(pl.col("p").sum(), pl.col("q").sum())
        missing, both = both.filter(pl.col("value").is_null()), both.filter(pl.col("value").is_not_null())
        rows = pl.col("p") + pl.col("q") * worth / max(float(both["q"].sum()), 1e-9)
        both = both.with_columns(rows.alias("rows")).sort("rows", "value", descending=[True, False])
        top, tail = both.head(TOP), both.slice(TOP)
        here, there = (np.array([*top[s], tail[s].sum(), missing[s].sum()], np.float64) for s in ("p", "q"))
        return [*top["value"], "the rest", "missing"], here, there
