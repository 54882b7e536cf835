"""From scikit-learn's X and y to one table of rows, as own logs are: features, labels, scenario, split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError, nearest
from msmtrec.data.encoding.texts import text_of
from msmtrec.data.logs import SPLITS
from msmtrec.serving.frames import as_polars

ALONE = "all"
"""The scenario of a table that has no column for it."""
_TRAIN, _VALIDATION, _TEST = SPLITS


class Refused(UserError, ValueError):
    """What an estimator cannot do with its arguments: a sentence, and what scikit-learn expects."""


@dataclass(frozen=True)
class Plan:
    """Which column is what.

    Args:
        scenario: names the scenario; None has one, ALONE.
        group: user or session.
        split: says train, validation or test.
        features: column -> its settings, as in the YAML of own logs.
    """

    scenario: str | None
    group: str | None
    split: str | None
    features: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        scenario: str | int | None,
        group: str | int | None,
        split: str | int | None,
        *,
        features: Mapping[str | int, Mapping[str, Any] | None] | None,
    ) -> Plan:
        """Numbers are numeric, lists have several values, everything else is an id, unless `features` says otherwise.

        Raises:
            Refused: a column is not there.
        """
        keys = [None if key is None else named(key, frame) for key in (scenario, group, split)]
        own = {named(key, frame): dict(settings or {}) for key, settings in (features or {}).items()}
        whole = {
            name: own.get(name, {"kind": _kind(dtype)})
            for name, dtype in frame.schema.items()
            if name in own or name not in keys
        }
        if not whole:
            raise Refused("the table has no column that is a feature")
        return cls(keys[0], keys[1], keys[2], whole)

    def scenarios(self, frame: pl.DataFrame) -> pl.Series:
        """[N] of each row, as text.

        Raises:
            Refused: one is missing.
        """
        if self.scenario is None:
            return pl.Series("", [ALONE], pl.String).new_from_index(0, frame.height)
        found = text_of(frame[self.scenario])
        if found.null_count():
            raise Refused(f"column '{self.scenario}' is empty in some rows; every row needs a scenario")
        return found


def named(key: str | int, frame: pl.DataFrame) -> str:
    """A column by its name, or by its place.

    Raises:
        Refused: there is none.
    """
    if isinstance(key, int) and not isinstance(key, bool) and -frame.width <= key < frame.width:
        return frame.columns[key]
    if key not in frame.columns:
        raise Refused(f"the table has no column {key!r}; {nearest(str(key), frame.columns)}")
    return str(key)


def free(name: str, taken: Sequence[str]) -> str:
    """A name that no column has."""
    return free(f"{name} ", taken) if name in taken else name


def table_of(X: Any) -> pl.DataFrame:
    """A table of raw rows: texts, numbers, lists; what is not a number is missing.

    Args:
        X: pandas or polars table, or a matrix of numbers, whose columns are x0, x1, …
    """
    frame = (
        pl.DataFrame(X, schema=[f"x{n}" for n in range(X.shape[1])]) if isinstance(X, np.ndarray) else as_polars(X)[0]
    )
    texts = [n for n, kind in frame.schema.items() if not (kind.is_numeric() or kind.is_nested() or kind == pl.String)]
    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    return frame.with_columns(pl.col(texts).cast(pl.String), pl.col(floats).fill_nan(None))


def _kind(dtype: pl.DataType) -> str:
    return "numeric" if dtype.is_numeric() else "multi" if dtype.is_nested() else "categorical"


def drawn_split(
    scenarios: pl.Series, labels: NDArray[np.float64], share: float, random: np.random.RandomState
) -> pl.Series:
    """[N] of SPLITS: of every scenario and class a share validates, at least one row; one row of a scenario is a test
    row, because a run has some.

    Args:
        labels: [N, T] 0, 1 or NaN. Classes are those of a scenario's first task that has both.

    Raises:
        Refused: a scenario has too few rows of a class.
    """
    found = np.full(len(labels), _TRAIN, object)
    names = scenarios.to_numpy()
    for name in dict.fromkeys(scenarios.to_list()):
        rows = np.flatnonzero(names == name)
        task = next((t for t in range(labels.shape[1]) if {0.0, 1.0} <= set(labels[rows, t])), 0)
        classes = [rows[labels[rows, task] == value] for value in (1.0, 0.0)]
        least = min(len(own) for own in classes)
        if least < 2 or len(rows) < 5:
            raise Refused(
                f"scenario '{name}' has too few rows (n_samples={len(rows)}, {least} of the rarer class): at least five"
                " are needed, and two of either class, to train on some and choose on others"
            )
        unlabelled = rows[np.isnan(labels[rows, task])]
        for own in (*classes, unlabelled):
            count = max(round(share * len(own)), 1) if len(own) > 1 else 0
            found[random.permutation(own)[: min(count, len(own) - 1)]] = _VALIDATION
        training = max(([r for r in own if found[r] == _TRAIN] for own in classes), key=len)
        if len(training) < 2:
            raise Refused(f"scenario '{name}': validation={share} leaves no rows to train on; make it smaller")
        found[random.permutation(training)[0]] = _TEST
    return pl.Series(found.tolist(), dtype=pl.String)


@dataclass(frozen=True)
class Labels:
    """y.

    Args:
        names: of the tasks.
        values: [N, T] 0, 1, or NaN where it is not known.
        classes: what 0 and 1 stand for, of a single task.
        single: whether y had one task.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    _: KW_ONLY
    classes: NDArray[Any]
    single: bool

    def tasks(self, scenarios: Sequence[str]) -> dict[str, list[str]]:
        """Task -> the scenarios that have a label of it.

        Raises:
            Refused: nobody has.
        """
        names = np.asarray(scenarios)
        found = {
            task: list(dict.fromkeys(names[~np.isnan(self.values[:, t])].tolist())) for t, task in enumerate(self.names)
        }
        for task, owners in found.items():
            if not owners:
                raise Refused(f"task '{task}' has no label in any row; leave it out")
        return found
