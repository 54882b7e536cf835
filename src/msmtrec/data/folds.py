"""Rolling folds: the validation window, and as long ones before it, each with all that is earlier to train on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.findings.times import Span, numbers
from msmtrec.data.logs import SPLIT, Chunk, Logs


def rolled(logs: Logs, number: int) -> tuple[Logs, ...]:
    """The logs themselves, and `number` - 1 folds of their training and validation rows, later ones first.

    With b the first time of a validation row and w how long validation rows last (until the first test row, where
    these are later), fold j has rows before b - j w as training rows and those from there on, for w, as validation
    rows. Test rows of the logs are in no fold; a fold's own test rows, which encoding needs and nobody reads, are the w
    after its validation rows. Training rows without a time stay training rows; other rows without one are left out.

    Raises:
        UserError: the rows have no times, some training row is not earlier than all validation rows, or the folds reach
            before the first row.
    """
    if number == 1:
        return (logs,)
    if logs.time is None:
        raise UserError(f"bench.folds is {number}, but {logs.origin} has no times to roll in; give 1")
    first, start, width = _windows(logs, number)
    most = max(1, ceil((start - first) / width))  # the first of them has a row to train on
    if number > most:
        raise UserError(
            f"bench.folds: {number} folds, each as long as the validation rows, reach before the first row; give at"
            f" most {most}"
        )
    return (logs, *(_fold(logs, start - j * width, width, j) for j in range(1, number)))


def _windows(logs: Logs, number: int) -> tuple[float, float, float]:
    """(first time of a training row, first time of a validation row, length of the validation window)."""
    spans = {name: Span() for name in ("train", "validation", "test")}
    for _, rows in logs.stream():
        for (split,), part in rows.partition_by(SPLIT, as_dict=True).items():
            spans[split].add(part[str(logs.time)])
    train, validation, test = spans.values()
    if not train.highest < validation.lowest:
        raise UserError(
            f"bench.folds is {number}, but not every training row is earlier than every validation row: such a split"
            " has no windows of time to roll back; give 1"
        )
    after = test.lowest if validation.highest < test.lowest < float("inf") else validation.highest
    return train.lowest, validation.lowest, max(after - validation.lowest, 1.0)


def _fold(logs: Logs, start: float, width: float, number: int) -> Logs:
    def stream() -> Iterator[Chunk]:
        for name, rows in logs.stream():
            yield name, _split_again(rows, str(logs.time), start, width)

    return replace(
        logs,
        stream=stream,
        fingerprint=f"{logs.fingerprint}:fold {number}",
        origin=f"fold {number} of {logs.origin}",
        allow_one_class=True,
        as_written=None,
    )


def _split_again(rows: pl.DataFrame, time: str, start: float, width: float) -> pl.DataFrame:
    rows = rows.filter(pl.col(SPLIT) != "test")
    at = pl.Series("at", numbers(rows[time]), nan_to_null=True)
    split = (
        pl.when(at < start)
        .then(pl.lit("train"))
        .when(at < start + width)
        .then(pl.lit("validation"))
        .when(at < start + 2 * width)
        .then(pl.lit("test"))
        .when(at.is_null() & (pl.col(SPLIT) == "train"))
        .then(pl.lit("train"))
    )
    return rows.with_columns(split.alias(SPLIT)).filter(pl.col(SPLIT).is_not_null())
