"""What the MovieLens releases have in common: text files, labels and splits."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.split import by_fractions

Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
"""ratings, users, films"""


def read_plain(path: Path, separator: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """A latin-1 file without header, as text columns.

    Raises:
        UserError: a line has fewer fields.
    """
    lines = pl.Series(path.read_text(encoding="latin-1").splitlines())
    parts = lines.str.splitn(separator, len(columns)).struct.unnest()
    parts.columns = list(columns)
    broken = parts.select(pl.any_horizontal(pl.all().is_null()).arg_true()).to_series()
    if len(broken):
        raise UserError(f"{path}: line {broken[0] + 1} has fewer than {len(columns)} fields")
    return parts


def read_atomic(path: Path) -> pl.DataFrame:
    """The PyPI wheels' tab-separated form, as text columns; its header types every column (rating:float)."""
    frame = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    return frame.rename({column: column.partition(":")[0] for column in frame.columns})


def integers(*columns: str) -> list[pl.Expr]:
    """Text such as 5 or 5.0 as whole numbers."""
    return [pl.col(column).cast(pl.Float64).cast(pl.Int64) for column in columns]


def labelled(ratings: pl.DataFrame) -> pl.DataFrame:
    """click = rating > 3, like = rating > 4."""
    return ratings.with_columns(
        (pl.col("rating") > 3).cast(pl.Int8).alias("click"),
        (pl.col("rating") > 4).cast(pl.Int8).alias("like"),
    )


def shared_out(ratings: pl.DataFrame, how: str, item: str) -> pl.DataFrame:
    """80/10/10, in file order or by time within each user (`item` decides between equal times)."""
    if how == "file-order":
        return by_fractions(ratings, (0.8, 0.1, 0.1))
    return by_fractions(ratings.sort("user_id", "timestamp", item), (0.8, 0.1, 0.1), within="user_id")
