"""How much rows count: what a column of weights may hold, and what the first pass finds in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.columns import kind_of
from msmtrec.data.logs import Logs

LEAST, MOST = 1e-30, 1e30
"""Weights beyond these, but for 0, are none that 32-bit numbers hold with all their digits."""
_EMPTY = "give every row a weight, 0 where it is not to count"


def odd(values: pl.Series) -> tuple[NDArray[np.bool_], str, str]:
    """([N] rows whose weight is none, what the first of them holds, remedy)."""
    if kind_of(values.dtype) not in ("numbers", "truth values", ""):
        known = values.is_not_null().to_numpy()
        at = int(known.argmax()) if known.any() else 0
        return known, f"holds {values[at]!r}" if known.any() else "", "a weight is a number"
    numbers = values.cast(pl.Float64).to_numpy()
    unknown = np.isnan(numbers)  # missing, or NaN, which is missing too
    if unknown.any():
        return unknown, "is empty", _EMPTY
    wrong = (numbers != 0) & ((numbers < LEAST) | (numbers > MOST))
    remedy = f"a weight is 0 or a number from {LEAST:g} to {MOST:g}"
    return wrong, f"holds {float(numbers[wrong][0])!r}" if wrong.any() else "", remedy


def weights_of(values: pl.Series, where: str) -> NDArray[np.float32]:
    """[N] how much each row counts.

    Raises:
        UserError: a weight is missing, negative, infinite, or no number.
    """
    rows, what, remedy = odd(values)
    if rows.any():
        first = int(rows.argmax()) + 1
        count = int(rows.sum())
        raise UserError(f"{where}: weight '{values.name}' {what} in {count} rows (first: row {first}); {remedy}")
    return values.cast(pl.Float64).to_numpy().astype(np.float32)


@dataclass
class Weighed:
    """What the first pass finds in a table's column of weights.

    Args:
        trains: scenarios that have a training row of a weight above 0.
        wrong: a sentence's middle about the first chunk with rows whose weight is none; empty where there is none.
        part: the scenario of those rows.
    """

    trains: set[str] = field(default_factory=set)
    wrong: str = ""
    part: str = ""

    def add(self, values: pl.Series, training: NDArray[np.bool_], part: str, before: int) -> None:
        """The next rows of a scenario; `before` are those that came already."""
        if self.wrong:
            return
        rows, what, remedy = odd(values)
        if rows.any():
            first = before + int(rows.argmax()) + 1
            self.part, count = part, int(rows.sum())
            self.wrong = f"{what} in {count} rows (first: row {first} of the scenario); {remedy}"
        elif (values.cast(pl.Float64).to_numpy()[training] > 0).any():
            self.trains.add(part)


def check_weights(logs: Logs, found: Weighed, parts: list[str]) -> None:
    """Every row has a weight, and no scenario's training rows weigh nothing.

    Raises:
        UserError: naming column, scenario and first row.
    """
    column = logs.schema.weight
    if found.wrong:
        raise UserError(f"{logs.where(found.part)}: weight '{column}' of scenario '{found.part}' {found.wrong}")
    for part in parts:
        if part not in found.trains and not logs.joining:
            raise UserError(
                f"{logs.where(part)}: weight '{column}' is 0 in all training rows of scenario '{part}'; leave the"
                " scenario out or give it weights"
            )
