"""AliExpress search logs: countries as scenarios, click (CTR) and click-and-buy (CTCVR) over impressions as tasks.

Processed form (MTReclib): AliExpress_NL/{train,test}.csv with a header. Original form (Tianchi 74690): four zips a
country, nl_{user,item}_{train,test}.zip, as files or inside any outer zip of the folder; one CSV without header each, a
user line per search page, an item line per impression, joined on the search id.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.logs import SPLIT, Chunk, Logs
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, complete
from msmtrec.logs.reading.csv_blocks import csv_blocks
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.split import as_split, held_out
from msmtrec.logs.sources.aliexpress_columns import CATEGORICAL, ITEM, NUMERIC, USER
from msmtrec.logs.sources.aliexpress_files import Original, Processed, find
from msmtrec.logs.sources.aliexpress_pages import Pages
from msmtrec.logs.sources.settings.aliexpress import AliExpress

__all__ = ["AliExpress", "load"]


def load(source: AliExpress) -> Logs:
    """Find each country's files; rows are read when they are needed.

    Raises:
        UserError: a country is missing or named twice.
    """
    if len(set(source.countries)) < len(source.countries):
        raise UserError(f"data.countries names a scenario twice: {list(source.countries)}; remove one")
    found = {country: find(source.place, country) for country in source.countries}
    logs = {name: Tables(files) if isinstance(files, Processed) else Searches(files) for name, files in found.items()}
    space = IdSpace("hash", source.shared) if source.shared else None

    held: dict[tuple[str, int], pl.Series] = {}

    def stream() -> Iterator[Chunk]:
        for country, log in logs.items():
            for place, rows in enumerate(log.rows("train")):
                known = held.get((country, place))  # hashing costs a fifth of reading, so that it is done once
                if known is None or len(known) != rows.height:
                    known = held[country, place] = held_out(rows["search_id"], source.validation)
                yield country, rows.with_columns(as_split(known))
            for rows in log.rows("test"):
                yield country, rows.with_columns(pl.lit("test").alias(SPLIT))

    paths = [path for files in found.values() for path in files.paths()]
    files = snapshot(paths)
    return Logs(
        Schema(
            name="AliExpress",
            features=(
                *(Feature(name, shared=space) for name in CATEGORICAL),
                *(Feature(name, "numeric", missing=False) for name in NUMERIC),
            ),
            tasks=(Task("ctr", "click"), Task("ctcvr", "conversion", within="ctr")),
            scenarios=dict.fromkeys(source.countries, ("ctr", "ctcvr")),
            group="search_id",
        ),
        stream,
        fingerprint=f"{files.digest}:{source.decides}",
        origin=str(source.place),
        notes=(
            f"{source.validation:.0%} of the training search pages are validation rows, by a hash of the search id",
        ),
        allow_one_class=source.allow_one_class,
        files=files,
        parsed=True,
    )


class Tables:
    """The rows of a country's two CSV files with a header."""

    def __init__(self, files: Processed) -> None:
        self.folder = files.folder

    def rows(self, part: str) -> Iterator[pl.DataFrame]:
        path = self.folder / f"{part}.csv"
        if "search_id" not in columns_of(path):
            raise UserError(
                f"{path}: the first line is not the processed form's header (search_id,categorical_1, …); put it there,"
                " in UTF-8"
            )
        kinds = dict.fromkeys(("search_id", *CATEGORICAL), "text") | dict.fromkeys(
            (*NUMERIC, "click", "conversion"), "number"
        )
        yield from complete(batches(scan(path, kinds), path), "conversion", path)


class Searches:
    """The rows of a country's four zips; the search pages of a part are held once they were read."""

    def __init__(self, files: Original) -> None:
        self.files = files
        self._pages: dict[str, Pages] = {}

    def rows(self, part: str) -> Iterator[pl.DataFrame]:
        if part not in self._pages:
            with self.files.opened("user", part) as (stream, name):
                pages = Pages(_named(block, USER, name) for block in csv_blocks(stream, name, len(USER)))
                if not len(pages):
                    raise UserError(f"{name} is empty; fetch it again")
                self._pages[part] = pages
        with self.files.opened("item", part) as (stream, name):
            for block in csv_blocks(stream, name, len(ITEM) + 1):
                items, label = _named(block, ITEM, name), block[f"column_{len(ITEM) + 1}"]
                if not (known := label.is_in(["0", "1", "2"]).fill_null(False)).all():
                    odd = label[int((~known).arg_max() or 0)]
                    raise UserError(f"{name}: the last column holds {odd!r}; it must be 0, 1 (click) or 2 (and buy)")
                items = items.with_columns(
                    (label != "0").cast(pl.Int8).alias("click"), (label == "2").alias("conversion")
                )
                yield self._pages[part].joined(items)


def _named(block: pl.DataFrame, names: tuple[str, ...], where: str) -> pl.DataFrame:
    """The first columns under these names, numerics as numbers."""
    columns = [pl.col(f"column_{place}").alias(name) for place, name in enumerate(names, 1)]
    try:
        return block.select(columns).with_columns(pl.col([name for name in names if name in NUMERIC]).cast(pl.Float32))
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{where}: {str(error).splitlines()[0]}; clean it, or fetch it again") from error
