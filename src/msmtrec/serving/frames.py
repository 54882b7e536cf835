"""Tables of other libraries in and out: what is given as pandas comes back as pandas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from msmtrec.base.errors import UserError

Back = Callable[[pl.DataFrame], Any]


def as_polars(rows: Any) -> tuple[pl.DataFrame, Back]:
    """A table, and how to turn a result with as many rows into one of the same kind.

    Args:
        rows: a polars, pandas or Arrow table, or a list of mappings, column -> value.

    Raises:
        UserError: it is something else.
    """
    if isinstance(rows, pl.DataFrame):
        return rows, lambda found: found
    if isinstance(rows, pa.Table | pa.RecordBatch):
        table = pa.table(rows) if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        return pl.DataFrame(pl.from_arrow(table)), lambda found: found.to_arrow()
    if type(rows).__module__.partition(".")[0] == "pandas" and hasattr(rows, "columns"):
        return _of_pandas(rows)
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        return _of_records(rows)
    raise UserError(
        f"rows come as a polars, pandas or Arrow table or as a list of mappings, not as {type(rows).__name__}"
    )


def _of_pandas(rows: Any) -> tuple[pl.DataFrame, Back]:
    """The index stays beside the result."""
    if not all(isinstance(name, str) for name in rows.columns) or not rows.columns.is_unique:
        raise UserError(f"the columns of the pandas table need different names, all of them text: {list(rows.columns)}")
    index = rows.index
    return pl.from_pandas(rows), lambda found: type(rows)(found.to_dict(as_series=False), index=index)


def _widened(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole numbers in lists that hold fractions too, such as vectors in JSON, as fractions: polars takes one kind."""
    if not any(type(value) is list and float in map(type, value) for row in rows for value in row.values()):
        return list(rows)
    return [{name: _as_floats(value) if type(value) is list else value for name, value in row.items()} for row in rows]


def _as_floats(values: list[Any]) -> list[Any]:
    if set(map(type, values)) - {type(None)} != {int, float}:
        return values
    return [None if number is None else float(number) for number in values]


def _of_records(rows: Sequence[Any]) -> tuple[pl.DataFrame, Back]:
    if not all(isinstance(row, dict) and all(isinstance(name, str) for name in row) for row in rows):
        raise UserError("a list of rows has a mapping for each of them, column -> value")
    try:
        frame = pl.DataFrame(_widened(rows), infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise UserError(f"the values of a column must be of one kind: {str(error).splitlines()[0]}") from error
    return frame, lambda found: found.to_dicts()
