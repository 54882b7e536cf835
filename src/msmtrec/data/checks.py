"""What would make a training run meaningless is refused here, with column, scenario and remedy."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from msmtrec.data.logs import SPLIT, SPLITS, Logs
from msmtrec.errors import UserError, nearest


def check_rows(logs: Logs, scenario: str, frame: pl.DataFrame) -> None:
    """Every declared column exists and every split has rows.

    Raises:
        UserError: naming the column or the split.
    """
    schema = logs.schema
    present = [t for t in schema.tasks if t.name in schema.scenarios[scenario]]
    wanted = [f.name for f in schema.features] + [t.label for t in present]
    wanted += [schema.group] if schema.group else []
    for column in wanted:
        if column not in frame.columns:
            raise UserError(
                f"{logs.origin}: scenario '{scenario}' has no column '{column}'; {nearest(column, frame.columns)}"
            )
    if frame.is_empty():
        raise UserError(f"{logs.origin}: scenario '{scenario}' has no rows; leave it out or check its filter")
    for split in SPLITS:
        if not (frame[SPLIT] == split).any():
            raise UserError(
                f"{logs.origin}: scenario '{scenario}' has no {split} rows;"
                " move the split bounds or leave the scenario out"
            )


def check_labels(logs: Logs, scenario: str, frames: Mapping[str, pl.DataFrame]) -> None:
    """Labels are 0, 1 or missing; every split has both classes; nested tasks are nested.

    Raises:
        UserError: naming label column, scenario and split.
    """
    schema = logs.schema
    usable = 0
    for task in schema.tasks:
        if task.name not in schema.scenarios[scenario]:
            continue
        usable += frames["validation"][task.label].drop_nulls().n_unique() > 1
        for split, frame in frames.items():
            where = f"{logs.origin}: label '{task.label}' of scenario '{scenario}'"
            values = frame[task.label]
            if values.dtype == pl.String:
                odd = values.drop_nulls().head(1).to_list()
                raise UserError(f"{where} holds text ({odd[0] if odd else 'empty'!r}); write 0, 1 or nothing")
            values = values.cast(pl.Float64)
            wrong = frame.filter(~values.is_in([0.0, 1.0]) & values.is_not_null())
            if not wrong.is_empty():
                raise UserError(
                    f"{where} holds {wrong[task.label][0]} in {wrong.height} {split} rows;"
                    " a label must be 0, 1 or missing"
                )
            classes = values.drop_nulls().n_unique()
            if classes < 2 and not logs.allow_one_class:
                raise UserError(
                    f"{where} has {'one class only' if classes else 'no value'} in the {split} split;"
                    " move the split, take the task from this scenario, or set allow_one_class: true"
                )
            if task.within:
                parent = next(t for t in schema.tasks if t.name == task.within)
                broken = int(((values == 1) & (frame[parent.label] == 0)).sum())
                if broken:
                    raise UserError(
                        f"{where} is 1 where '{parent.label}' is 0 in {broken} {split} rows, but it is declared"
                        f" within '{parent.name}'; drop those rows or remove 'within'"
                    )
    if not usable:
        raise UserError(
            f"{logs.origin}: scenario '{scenario}' has no task with both classes among its validation rows, so no round"
            " can be chosen for it; move the split or leave the scenario out"
        )


def check_numeric(logs: Logs, scenario: str, frame: pl.DataFrame) -> None:
    """Numerics are finite numbers or missing.

    Raises:
        UserError: naming column, scenario and the first row concerned.
    """
    for feature in logs.schema.numeric:
        where = f"{logs.origin}: numeric column '{feature.name}' of scenario '{scenario}'"
        values = frame[feature.name]
        if not values.dtype.is_numeric() and values.dtype not in (pl.Boolean, pl.Null):
            odd = values.drop_nulls().head(1).to_list()
            raise UserError(f"{where} holds text ({odd[0] if odd else 'empty'!r}); declare it categorical or clean it")
        values = values.cast(pl.Float64)
        bad = (~values.is_finite()).fill_null(False)
        if bad.any():
            row = int(bad.arg_max() or 0) + 1
            raise UserError(
                f"{where} holds {values[row - 1]} in {int(bad.sum())} rows (first: row {row} of the scenario);"
                " leave a missing value empty"
            )
        if feature.log and bool((values < 0).any()):
            raise UserError(f"{where} has log: true but holds {values.min()!r}; remove log or clean it")
    for feature in logs.schema.categorical:
        if feature.kind == "multi" and frame[feature.name].dtype != pl.List:
            raise UserError(f"{logs.origin}: multi-valued column '{feature.name}' of scenario '{scenario}' is no list")
