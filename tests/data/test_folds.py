"""Rolling folds: which rows train, which judge, and which stand in no fold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.data.folds import rolled
from msmtrec.data.logs import SPLIT, Logs, in_memory

SCHEMA = Schema("made", (Feature("user"),), (Task("click"),), {"a": ("click",), "b": ("click",)})
PARTS = ["train", "validation", "test"]


def logs_of(times: dict[str, list[tuple[float | None, str]]], **more: object) -> Logs:
    frames = {
        name: pl.DataFrame(
            {
                "at": [at for at, _ in rows],
                SPLIT: [split for _, split in rows],
                "user": list(range(len(rows))),
                "click": [n % 2 for n in range(len(rows))],
            },
            strict=False,
        )
        for name, rows in times.items()
    }
    return replace(Logs(SCHEMA, in_memory(frames), "print", "here", time="at"), **more)  # type: ignore[arg-type]


def days(first: int, last: int, validation: int, test: int) -> list[tuple[float | None, str]]:
    """A row a day."""
    return [
        (float(day), "train" if day < validation else "validation" if day < test else "test")
        for day in range(first, last + 1)
    ]


LOGS = logs_of({"a": days(1, 14, 11, 13), "b": days(2, 14, 11, 13)})
"""Validation: days 11 and 12. Test: 13 and 14."""


def parts(logs: Logs, scenario: str) -> dict[str, list[float]]:
    rows = logs.frame(scenario)
    return {part: rows.filter(pl.col(SPLIT) == part)["at"].to_list() for part in PARTS}


def test_each_window_is_as_long_as_validation_and_comes_before_it() -> None:
    whole, one, two = rolled(LOGS, 3)
    assert whole is LOGS
    assert parts(one, "a") == {"train": [*range(1, 9)], "validation": [9, 10], "test": [11, 12]}
    assert parts(two, "a") == {"train": [*range(1, 7)], "validation": [7, 8], "test": [9, 10]}
    assert parts(two, "b") == {"train": [*range(2, 7)], "validation": [7, 8], "test": [9, 10]}
    assert len({one.fingerprint, two.fingerprint, LOGS.fingerprint}) == 3


def test_a_test_row_is_in_no_fold() -> None:
    for fold in rolled(LOGS, 5)[1:]:
        for scenario in ("a", "b"):
            assert fold.frame(scenario)["at"].max() < 13


def test_rows_of_other_scenarios_do_not_move_a_window() -> None:
    """A window begins for all at once, also where one has no row on its first day."""
    sparse = [row for row in days(1, 14, 11, 13) if row[0] not in (7, 9, 11)]
    (_, one, two) = rolled(logs_of({"a": sparse, "b": days(1, 14, 11, 13)}), 3)
    assert parts(one, "a")["validation"] == [10]
    assert parts(two, "a")["validation"] == [8]


def test_training_rows_without_a_time_train_in_every_fold() -> None:
    logs = logs_of({"a": [(None, "train"), (None, "validation"), *days(1, 14, 11, 13)], "b": days(1, 14, 11, 13)})
    one = rolled(logs, 2)[1].frame("a")
    assert one.filter(pl.col("at").is_null())[SPLIT].to_list() == ["train"]
    assert one.height == 12 + 1


def test_dates_are_times() -> None:
    rows = LOGS.frame("a").with_columns(
        pl.col("at").map_elements(lambda day: datetime(2026, 5, int(day)), return_dtype=pl.Datetime("us"))
    )
    logs = replace(LOGS, stream=in_memory({"a": rows}), schema=replace(SCHEMA, scenarios={"a": ("click",)}))
    fold = rolled(logs, 2)[1].frame("a")
    assert fold.filter(pl.col(SPLIT) == "validation")["at"].dt.day().to_list() == [9, 10]


def test_a_few_rows_on_the_wrong_side_are_as_their_time_says() -> None:
    """The day that divides rows and their time may disagree by minutes."""
    many = [(0.5 + n / 1e4, "train") for n in range(4000)]
    early, late = (10.6, "validation"), (10.9, "train")
    logs = logs_of({"a": [*many, *days(1, 14, 11, 13), early, late], "b": days(1, 14, 11, 13)})
    fold = rolled(logs, 2)[1]
    assert parts(fold, "a")["validation"] == [9.0, 10.0, 10.6]  # 10.75 - 2.25 to 10.75; test rows begin at 13
    assert parts(fold, "a")["test"] == [11.0, 12.0, 10.9]


def test_a_window_of_one_moment_has_no_length() -> None:
    rows = [*days(1, 10, 11, 13), (11.0, "validation"), (2.0, "test")]
    with pytest.raises(UserError, match="validation rows have one time and no test row is later"):
        rolled(logs_of({"a": rows, "b": rows}), 2)


def test_times_between_0_and_1() -> None:
    tenths = [(day / 100 if day else day, split) for day, split in days(1, 14, 11, 13)]
    fold = rolled(logs_of({"a": tenths, "b": tenths}), 2)[1]
    assert parts(fold, "a")["validation"] == [0.09, 0.1]


def test_without_later_test_rows_the_window_is_what_validation_rows_span() -> None:
    mixed = [*days(1, 12, 11, 13), (3.0, "test")]
    fold = rolled(logs_of({"a": mixed, "b": days(1, 12, 11, 13)}), 2)[1]
    assert parts(fold, "a")["validation"] == [10.0]  # from 11 to 12: one day
    assert parts(fold, "a")["train"] == [*range(1, 10)]  # and not the test row of day 3


def test_one_fold_is_the_logs_whatever_they_are() -> None:
    assert rolled(replace(LOGS, time=None), 1)[0].fingerprint == LOGS.fingerprint


@pytest.mark.parametrize(
    ("logs", "number", "sentence"),
    [
        (replace(LOGS, time=None), 2, "bench.folds is 2, but here has no times to roll in; give 1"),
        (LOGS, 6, "bench.folds: 6 folds, .* reach before the first row; give at most 5"),
        (
            logs_of({"a": [*days(1, 14, 11, 13), (11.0, "train")], "b": days(1, 14, 11, 13)}),
            2,
            r"rows are not split at one time \(1 of 25 training and validation rows are",
        ),
    ],
)
def test_refused(logs: Logs, number: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        rolled(logs, number)
