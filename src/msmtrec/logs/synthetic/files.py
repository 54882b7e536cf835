"""The files of written synthetic logs: tables per scenario, and both forms of the AliExpress release."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from msmtrec.data.logs import SPLIT
from msmtrec.logs.sources.aliexpress_columns import ITEM, PROCESSED, USER
from msmtrec.logs.synthetic.rows import Rows

COUNTRIES = ("NL", "ES", "FR", "US", "RU")
_PARTS = ("train", "test")


@dataclass
class Written:
    """Rows on their way into files.

    Args:
        names: scenario -> what the files call it.
        passes: how often all rows are drawn.
    """

    rows: Rows
    names: dict[str, str]
    progress: Callable[[int, int], None]
    passes: int = 1
    _: KW_ONLY
    done: int = field(default=0)

    def of(self, scenario: str, parts: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """A scenario's rows in order; those of some parts only, if asked for."""
        for piece in self.rows.pieces(self.rows.names.index(scenario), parts):
            yield self.rows.draw(piece)[0]
            self.done += piece.rows
            self.progress(self.done, self.passes * sum(self.rows.sizes.values()))


def write_tables(written: Written, folder: Path, form: str) -> None:
    """A file per scenario, with the column `split`."""
    for scenario, name in written.names.items():
        chunks = (rows.rename({SPLIT: "split"}) for rows in written.of(scenario))
        if form == "csv":
            write_csv(chunks, folder / f"{name}.csv")
        else:
            write_parquet(chunks, folder / f"{name}.parquet")


def write_processed(written: Written, folder: Path) -> None:
    """AliExpress_NL/{train,test}.csv and so on."""
    for scenario, country in written.names.items():
        place = folder / f"AliExpress_{country}"
        place.mkdir()
        for part in _PARTS:
            write_csv((rows.select(PROCESSED) for rows in written.of(scenario, (part,))), place / f"{part}.csv")


def write_original(written: Written, folder: Path) -> None:
    """AliExpress_NL.zip with nl_{user,item}_{train,test}.zip and so on, each with one CSV file without header.

    A zip takes one file after the other, so rows are drawn once for the users and once for the items.
    """
    written.passes = 2
    for scenario, country in written.names.items():
        with zipfile.ZipFile(folder / f"AliExpress_{country}.zip", "w") as outer:
            for part in _PARTS:
                for kind, lines in (("user", _user_lines), ("item", _item_lines)):
                    name = f"{country.lower()}_{kind}_{part}"
                    # a member opened by its name has the year 1980 as its time: the same rows, the same bytes
                    with (
                        outer.open(f"AliExpress_{country}/{name}.zip", "w", force_zip64=True) as member,
                        zipfile.ZipFile(member, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as inner,
                        inner.open(f"{name}.csv", "w", force_zip64=True) as file,
                    ):
                        for rows in written.of(scenario, (part,)):
                            file.write(lines(rows).write_csv(include_header=False).encode())


def _user_lines(rows: pl.DataFrame) -> pl.DataFrame:
    """A line per search page; no page is in two chunks."""
    return rows.select(USER).unique("search_id", keep="first", maintain_order=True)


def _item_lines(rows: pl.DataFrame) -> pl.DataFrame:
    """A line per impression."""
    return rows.select(*ITEM, (pl.col("click") + pl.col("conversion")).alias("label"))


def write_csv(chunks: Iterator[pl.DataFrame], path: Path) -> None:
    """One after the other into one file with a header; numbers in the shortest form that reads back the same."""
    with path.open("wb") as file:
        for number, rows in enumerate(chunks):
            rows.write_csv(file, include_header=number == 0)


def write_parquet(chunks: Iterator[pl.DataFrame], path: Path) -> None:
    """One after the other into one file, a row group each."""
    writer = None
    try:
        for rows in chunks:
            table = rows.to_arrow()
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer:
            writer.close()
