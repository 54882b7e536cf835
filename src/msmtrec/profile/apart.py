"""Can a classifier tell two scenarios apart? A linear discriminant on binned features, cross-validated.

A feature becomes one column a bin: a categorical one's most frequent values, the rest, missing; a numeric one's
twentieths, missing. So it sees how every feature shifts and how the shifts add up, but no interaction. Users of the
group column are kept together in a fold, and fields with many values (users, items) are left out: with them the
classifier would learn who is there, which the overlap says better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from msmtrec.base.feature import Feature
from msmtrec.evaluation.metrics import auc
from msmtrec.profile.hashes import hashed

Array = NDArray[np.float64]
ROWS = 4_000
"""Training rows of a scenario at most."""
FEWEST = 100
"""Rows of a scenario from which there is an answer."""
MANY = 1_000
"""Distinct values from which a field counts as one of ids."""
SCENARIOS = 20
"""The largest, every two of which are told apart."""
_FOLDS, _TOP, _RIDGE = 3, 100, 10.0


@dataclass(frozen=True)
class Apart:
    """AUC by pair of scenarios.

    Args:
        scenarios: which; auc [S, S] symmetric, NaN on the diagonal and where a scenario has too few rows.
        left_out: features that were not used.
    """

    scenarios: tuple[str, ...]
    auc: Array
    features: tuple[str, ...]
    left_out: tuple[str, ...]


def tell_apart(
    samples: Mapping[str, pl.DataFrame], used: tuple[Feature, ...], left_out: tuple[str, ...], group: str | None
) -> Apart:
    """Every two scenarios from samples of their training rows."""
    names = tuple(samples)
    heads = {name: _thinned(rows) for name, rows in samples.items()}
    found = np.full((len(names), len(names)), np.nan)
    if used and len(names) > 1:
        columns = _Columns(used, pl.concat(heads.values(), how="vertical_relaxed"))
        folded = {
            name: divided(columns.of(rows), _folds(rows, group)) if rows.height >= FEWEST else []
            for name, rows in heads.items()
        }
        for i, one in enumerate(names):
            for j in range(i):
                found[i, j] = found[j, i] = cross_validated(folded[one], folded[names[j]])
    return Apart(names, found, tuple(feature.name for feature in used), left_out)


@dataclass(frozen=True)
class Fold:
    """Rows of one scenario and fold: gram [D, D] = XᵀX, sums [D] over rows."""

    rows: csr_array
    gram: Array
    sums: Array


def divided(rows: csr_array, folds: NDArray[np.int64]) -> list[Fold]:
    """The rows of every fold, with what a fit needs of them: once, for all pairs."""
    parts = [rows[folds == fold] for fold in range(_FOLDS)]
    return [Fold(part, (part.T @ part).toarray(), np.asarray(part.sum(axis=0)).ravel()) for part in parts]


def cross_validated(one: list[Fold], two: list[Fold]) -> float:
    """Mean AUC over held-out folds; NaN where no fold has rows of both."""
    found = []
    for held in range(min(len(one), len(two))):
        known = [[fold for n, fold in enumerate(folds) if n != held] for folds in (one, two)]
        if (
            min(one[held].rows.shape[0], two[held].rows.shape[0], *(sum(f.rows.shape[0] for f in k) for k in known))
            == 0
        ):
            continue
        weights = discriminant(*known)
        scores = [folds[held].rows @ weights for folds in (one, two)]
        found.append(auc(np.concatenate(scores), np.repeat([0.0, 1.0], [len(values) for values in scores])))
    return float(np.mean(found)) if found else float("nan")


def discriminant(zeros: list[Fold], ones: list[Fold]) -> Array:
    """[D] ridge regression of the class (−1, 1) on the columns, both classes with the same weight.

    Solves (G₀/n₀ + G₁/n₁ + λI) w = μ₁ − μ₀ with λ = _RIDGE/(n₀ + n₁). No intercept: every row has a column of every
    feature, and ranks need none.
    """
    sides = []
    for folds in (zeros, ones):
        rows = sum(fold.rows.shape[0] for fold in folds)
        gram, sums = sum(fold.gram for fold in folds), sum(fold.sums for fold in folds)
        sides.append((rows, gram / rows, sums / rows))
    (n0, gram0, mean0), (n1, gram1, mean1) = sides
    ridge = _RIDGE / (n0 + n1) * np.eye(len(mean0))
    return np.asarray(cho_solve(cho_factor(gram0 + gram1 + ridge), mean1 - mean0), np.float64)


class _Columns:
    """Bins of every feature, the same for all scenarios, as columns of 0 and 1."""

    def __init__(self, features: tuple[Feature, ...], rows: pl.DataFrame) -> None:
        self.features, self.width = features, 0
        self._bins: list[Array | pl.Series] = []
        self._starts: list[int] = []
        for feature in features:
            values = _plain(rows, feature)["value"].drop_nulls()
            bins: Array | pl.Series
            if feature.kind == "numeric":
                bins = np.unique(np.quantile(values.to_numpy(), np.arange(1, 20) / 20)) if len(values) else np.empty(0)
            else:
                top = values.value_counts(name="n").sort("n", "value", descending=[True, False])
                bins = top["value"].head(_TOP)
            self._bins.append(bins)
            self._starts.append(self.width)
            self.width += len(bins) + 2

    def of(self, rows: pl.DataFrame) -> csr_array:
        """[N, width]"""
        lines, columns = [], []
        for feature, bins, start in zip(self.features, self._bins, self._starts, strict=True):
            found = _plain(rows, feature)
            known = ~found["value"].is_null().to_numpy()
            if isinstance(bins, pl.Series):
                ids = pl.Series(range(len(bins)), dtype=pl.Int64)
                coded = found["value"].replace_strict(bins, ids, default=len(bins), return_dtype=pl.Int64).to_numpy()
            else:
                coded = np.searchsorted(bins, found["value"].fill_null(0.0).to_numpy(), side="left")
            lines.append(found["row"].to_numpy())
            columns.append(start + np.where(known, coded, len(bins) + 1))
        places = np.concatenate(lines), np.concatenate(columns)
        return csr_array((np.ones(len(places[0])), places), shape=(rows.height, self.width))


def _plain(rows: pl.DataFrame, feature: Feature) -> pl.DataFrame:
    """row, value; a multi-valued field has a line a value."""
    frame = pl.DataFrame([pl.int_range(rows.height, eager=True).alias("row"), rows[feature.name].alias("value")])
    if feature.kind == "numeric":
        return frame.with_columns(pl.col("value").cast(pl.Float64))
    return (frame.explode("value", empty_as_null=True) if feature.has_lists else frame).with_columns(
        pl.col("value").cast(pl.String)
    )


def _thinned(rows: pl.DataFrame) -> pl.DataFrame:
    """ROWS of them at most, evenly from first to last."""
    return rows[np.arange(ROWS) * rows.height // ROWS] if rows.height > ROWS else rows


def _folds(rows: pl.DataFrame, group: str | None) -> NDArray[np.int64]:
    if group is None:
        return np.arange(rows.height) % _FOLDS
    return (hashed(rows[group].cast(pl.String).fill_null("")) % np.uint64(_FOLDS)).astype(np.int64)
