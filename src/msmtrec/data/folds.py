"""Rolling folds: the validation window, and as long ones before it, each with all that is earlier to train on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, inf

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.findings.times import Span, numbers
from msmtrec.data.logs import SPLIT, Chunk, Logs
from msmtrec.data.snapshot import remembered

STRAY = 1e-3
"""Share of training and validation rows whose time may be on the wrong side of the split."""


def rolled(logs: Logs, number: int) -> tuple[Logs, ...]:
    """The logs themselves, and `number` - 1 folds of their training and validation rows, later ones first.

    With b the time at which validation rows begin and w how long they last (until the first test row, where these are
    later), fold j has rows before b - j w as training rows and those from there on, for w, as validation
    rows. Test rows of the logs are in no fold; a fold's own test rows, which encoding needs and nobody reads, are the w
    after its validation rows. Training rows without a time stay training rows; other rows without one are left out.

    Raises:
        UserError: the rows have no times, they are not split at one time, or the folds reach before the first row.
    """
    if number == 1:
        return (logs,)
    if logs.time is None:
        raise UserError(f"bench.folds is {number}, but {logs.origin} has no times to roll in; give 1")
    question = f"windows: {logs.fingerprint}"
    known = remembered(logs.files, question, lambda: [repr(bound) for bound in _windows(logs, number)])
    first, start, width = map(float, known)
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
    start = validation.lowest
    if not train.highest < start:
        start = _between(logs, start, train.highest, number)
    after = test.lowest if validation.highest < test.lowest < inf else validation.highest
    if not start < after:
        raise UserError(
            f"bench.folds is {number}, but validation rows have one time and no test row is later: how long a window is"
            " cannot be told; give 1"
        )
    return train.lowest, start, after - start


def _between(logs: Logs, low: float, high: float, number: int) -> float:
    """The middle of the time in which training and validation rows overlap: where they are divided by a day that is
    written beside their times, the two need not agree to the minute.

    Raises:
        UserError: more than STRAY of the rows are on the wrong side of it.
    """
    middle, rows, stray = (low + high) / 2, 0, 0
    for _, chunk in logs.stream():
        known = chunk.filter(pl.col(SPLIT) != "test")
        at, trains = numbers(known[str(logs.time)]), (known[SPLIT] == "train").to_numpy()
        rows += len(at)
        stray += int(((at >= middle) & trains).sum() + ((at < middle) & ~trains).sum())
    if stray > STRAY * rows:
        raise UserError(
            f"bench.folds is {number}, but rows are not split at one time ({stray:,} of {rows:,} training and"
            " validation rows are on the other's side), so that there are no windows to roll back; split by"
            " train_until and validation_until, or give 1"
        )
    return middle


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
