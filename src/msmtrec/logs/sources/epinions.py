"""Epinions and Ciao (Tang et al., WSDM and KDD 2012): reviews of products, whose categories are the scenarios.

Tasks: good = a rating of at least 4, helpful = a helpfulness of at least 3. Readers gave the helpfulness after the
review: it is a label and never a feature. A user is the same in every category. No licence is stated with the files,
which stay outside the repository.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.matlab import read_matrix
from msmtrec.logs.reading.split import by_fractions
from msmtrec.logs.sources.settings.epinions import FILE, Ciao, Epinions, Reviews

__all__ = ["FILE", "Ciao", "Epinions", "Reviews", "load"]

FRACTIONS = (0.8, 0.1, 0.1)
_VARIABLES = ("rating", "rating_with_timestamp")
"""The matrix has been handed on under either name."""
_COLUMNS = ("user_id", "item_id", "category", "rating", "helpfulness", "time")
_RANGES = {"user_id": (1, 1_000_000), "item_id": (1, 1_000_000), "rating": (0, 5), "helpfulness": (0, 5)}
_LABELS = {"good": pl.col("rating") >= 4, "helpful": pl.col("helpfulness") >= 3}
_SECONDS = 100_000_000
"""Seconds since 1970 were as many in 1973."""


def load(source: Reviews) -> Logs:
    """Read the file; each category's rows are shared out by time, those of one time in file order.

    Raises:
        UserError: the file is missing or not the release's, or no category has `min_rows` rows.
    """
    path = source.path
    if not path.exists():
        raise UserError(
            f"no {source.title} log {path}; no licence is stated with it, so it cannot be fetched: put the file"
            f" there by hand, as msmtrec data fetch {source.source} says"
        )
    files = snapshot([path])
    log = _read(source, path)
    users, items = (IdSpace("ids", top + 1) for top in log.select(pl.max("user_id", "item_id")).row(0))
    rated = log.filter(pl.col("rating") > 0).sort("time", maintain_order=True)
    first = rated.unique(["user_id", "item_id", "category"], keep="first", maintain_order=True)
    rows = by_fractions(first if source.repeats == "first" else rated, FRACTIONS, within="category")
    rows = rows.with_columns(_LABELS[name].cast(pl.Int8).alias(name) for name in source.tasks)
    rows = rows.select("category", "user_id", "item_id", *source.tasks, "time", SPLIT)
    found = rows.partition_by("category", as_dict=True, include_key=False)
    scenarios = {str(number): own for (number,), own in sorted(found.items()) if own.height >= source.min_rows}
    if not scenarios:
        most = max((own.height for own in found.values()), default=0)
        raise UserError(f"{path}: no category has {source.min_rows} rows (data.min_rows), the largest has {most}")
    return Logs(
        Schema(
            name=source.title,
            features=(
                Feature("user_id", shared=users),
                Feature("item_id", shared=items if source.items == "shared" else None),
            ),
            tasks=tuple(Task(name) for name in source.tasks),
            scenarios=dict.fromkeys(scenarios, source.tasks),
            group="user_id",
        ),
        in_memory(scenarios),
        fingerprint=f"{files.digest}:{source.decides}",
        origin=str(path),
        notes=(
            f"80/10/10 of each category's rows by time ({source.clock}), rows of one time in file order",
            "the rating, the helpfulness and the time are not features",
            f"categories with less than {source.min_rows} rows, left out: {len(found) - len(scenarios)}",
            f"rows whose user and item were there before in the category: {rated.height - first.height},"
            f" {'left out' if source.repeats == 'first' else 'kept'}",
            f"rows rated 0, which is no rating, left out: {log.height - rated.height}",
        ),
        allow_one_class=source.allow_one_class,
        files=files,
        time="time",
    )


def _read(source: Reviews, path: Path) -> pl.DataFrame:
    """All rows in file order.

    Raises:
        UserError: as `read_matrix`, or a value is out of the release's range.
    """
    log = pl.DataFrame(read_matrix(path, _VARIABLES, _COLUMNS), schema=_COLUMNS)
    for name, (low, high) in (_RANGES | source.ranges).items():
        odd = ~log[name].is_between(low, high)
        if odd.any():
            row = odd.arg_max() or 0
            raise UserError(
                f"{path}: {name} (column {_COLUMNS.index(name) + 1}) is {log[name][row]} in row {row + 1};"
                f" in {source.title} it is {low} to {high}: is this another file?"
            )
    if isinstance(source, Ciao) and (latest := log.select(pl.max("time")).item()) < _SECONDS:
        raise UserError(
            f"{path}: the latest time is {latest}, but Ciao's are seconds since 1970: is this another file?"
        )
    return log
