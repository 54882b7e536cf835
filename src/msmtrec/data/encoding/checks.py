"""What would make a training run meaningless is refused here, with column, scenario and remedy."""

from __future__ import annotations

from math import isnan
from urllib.parse import quote

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.feature import Feature
from msmtrec.data.encoding.extremes import LARGEST, farthest, too_far
from msmtrec.data.encoding.survey import Numeric, Survey
from msmtrec.data.encoding.tagged import remedy
from msmtrec.data.encoding.vector_survey import check_vectors
from msmtrec.data.encoding.weighing import check_weights
from msmtrec.data.logs import SPLITS, Logs

_LONGEST_NAME = 200
"""Characters of a scenario's name as part of a file's, where special ones take three."""


def check(logs: Logs, table: str, found: Survey) -> None:
    """Everything that the first pass can tell of one table.

    Raises:
        UserError: naming column, scenario, split and remedy.
    """
    _check_rows(logs, table, found, needed=() if logs.joining else SPLITS)
    if logs.schema.weight:
        check_weights(logs, found.weighed, list(found.rows))
    _check_labels(logs, table, found)
    _check_features(logs, table, found)


def _check_rows(logs: Logs, table: str, found: Survey, needed: tuple[str, ...]) -> None:
    if found.missing is not None:
        column, columns = found.missing
        raise UserError(f"{logs.where(table)}: scenario '{table}' has no column '{column}'; {nearest(column, columns)}")
    for part, rows in found.rows.items():
        origin = logs.where(part)
        if len(quote(part, safe="")) > _LONGEST_NAME:
            raise UserError(f"{origin}: scenario '{part[:40]}…' has a name too long for a file; shorten it")
        if needed and not any(rows.values()):
            raise UserError(f"{origin}: scenario '{part}' has no rows; leave it out or check its filter")
        for split in needed:
            if not rows[split]:
                remedy = logs.asked.remedy if logs.asked else "move the split bounds"
                raise UserError(f"{origin}: scenario '{part}' has no {split} rows; {remedy}, or leave the scenario out")


def _check_labels(logs: Logs, table: str, found: Survey) -> None:
    """Labels are 0, 1 or missing; every split has both classes; nested tasks are nested; a round can be chosen."""
    tasks = {task.name: task for task in logs.schema.tasks}
    for name, splits in found.labels.items():
        task = tasks[name]
        where = f"{logs.where(table)}: label '{task.label}' of scenario '{table}'"
        for split, labels in splits.items():
            if isinstance(labels.example, str):
                raise UserError(f"{where} holds text ({labels.example!r}); write 0, 1 or nothing")
            if labels.wrong:
                raise UserError(
                    f"{where} holds {labels.example} in {labels.wrong} {split} rows; a label must be 0, 1 or missing"
                )
            if labels.classes < 2 and not (logs.allow_one_class or logs.joining):
                raise UserError(
                    f"{where} has {'one class only' if labels.rows else 'no value'} in the {split} split;"
                    " move the split, take the task from this scenario, or set allow_one_class: true"
                )
            if labels.outside_parent:
                parent = tasks[task.within or ""]
                raise UserError(
                    f"{where} is 1 where '{parent.label}' is 0 in {labels.outside_parent} {split} rows, but it is"
                    f" declared within '{parent.name}'; drop those rows or remove 'within'"
                )
    if not logs.joining and not any(splits["validation"].classes == 2 for splits in found.labels.values()):
        raise UserError(
            f"{logs.where(table)}: scenario '{table}' has no task with both classes among its validation rows, so no"
            " round can be chosen for it; move the split or leave the scenario out"
        )


def _check_features(logs: Logs, table: str, found: Survey) -> None:
    """Numerics are finite numbers or missing; multi-valued columns are lists."""
    for feature in logs.schema.numeric:
        column = found.numeric[feature.name]
        place = column.part or table
        where = f"{logs.where(place)}: numeric column '{feature.name}' of scenario '{place}'"
        if column.text is not None:
            raise UserError(f"{where} holds text ({column.text}); declare it categorical or clean it")
        if column.bad:
            raise UserError(
                f"{where} holds {column.example} in {column.bad} rows (first: row {column.first_row} of the"
                f" scenario); leave a missing value empty{', or set missing: [nan]' if isnan(column.example) else ''}"
            )
        if column.missing and not feature.missing:
            raise UserError(f"{where} is missing in {column.missing} rows but declared complete; set missing: true")
        if feature.scale == "log" and column.lowest < 0:
            raise UserError(f"{where} has scale: log but holds {column.lowest!r}; remove scale or clean it")
        _check_extremes(logs, table, feature, column)
    for feature in logs.schema.vectors:
        check_vectors(found.vectors[feature.name], feature, {part: logs.where(part) for part in (table, *found.rows)})
    if found.odd_tag is not None:
        feature, what, part, row = found.odd_tag
        raise UserError(
            f"{logs.where(part)}: column '{feature.name}' of scenario '{part}' holds {what} (first: row {row} of the"
            f" scenario); {remedy(feature)}"
        )
    if found.odd_kind is not None:
        raise UserError(
            f"{logs.where(table)}: column '{found.odd_kind}' of scenario '{table}' holds no lists, as multi and"
            " sequence do"
        )


def _check_extremes(logs: Logs, table: str, feature: Feature, column: Numeric) -> None:
    """Every value is a number that 32 bits and a network can hold once it is scaled; what is clipped always is."""
    scaler = column.fit.scaler()
    if not scaler.usable:
        ends = [value for key, found in column.ends.items() if key[1] == "train" for value in found.outermost]
        raise UserError(
            f"{logs.where(table)}: numeric column '{feature.name}' of scenario '{table}' holds training values from"
            f" {min(ends)!r} to {max(ends)!r}, whose standard deviation 64-bit numbers cannot hold; correct them, or"
            " write them in another unit"
        )
    for far in farthest(feature, scaler, column.ends):
        if far.size > LARGEST and feature.clip is None:
            raise UserError(f"{logs.where(far.scenario)}: {too_far(far)}")
