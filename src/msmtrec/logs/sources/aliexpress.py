"""AliExpress search logs: countries as scenarios, click (CTR) and click-and-buy (CTCVR) over impressions as tasks.

Processed form (MTReclib): AliExpress_NL/{train,test}.csv with a header. Original form (Tianchi 74690): four zips a
country, nl_{user,item}_{train,test}.zip, as files or inside any outer zip of the folder; one CSV without header each, a
user line per search page, an item line per impression, joined on the search id.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal

import polars as pl
from pydantic import Field

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.base.settings import Settings, data_directory
from msmtrec.data.logs import SPLIT, Chunk, Logs
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, complete
from msmtrec.logs.reading.csv_blocks import csv_blocks
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.split import as_split, held_out
from msmtrec.logs.sources.aliexpress_columns import CATEGORICAL, ITEM, NUMERIC, USER
from msmtrec.logs.sources.aliexpress_pages import Pages


class AliExpress(Settings):
    """AliExpress.

    Args:
        folder: where the countries are; the default is AliExpress in the data directory.
        countries: the scenarios, in table order.
        validation: share of the training file's search pages that are validation rows (the release has no such part).
        shared: hash buckets of a common id space for the categorical fields. Whether a code means the same in two
            countries is not documented, so by default every country keeps its own.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["aliexpress"] = "aliexpress"
    folder: Path | None = None
    countries: tuple[Literal["NL", "ES", "FR", "US", "RU"], ...] = Field(("NL", "ES", "FR", "US"), min_length=1)
    validation: float = Field(0.1, gt=0, lt=1)
    shared: int | None = Field(None, ge=1)
    allow_one_class: bool = False

    def _files(self) -> Path:
        return self.folder or data_directory() / "AliExpress"

    def present(self) -> bool:
        """Whether every country is there in one of the two forms."""
        try:
            return all(self._find(country) for country in self.countries)
        except UserError:
            return False

    def load(self) -> Logs:
        """Find each country's files; rows are read when they are needed.

        Raises:
            UserError: a country is missing or named twice.
        """
        if len(set(self.countries)) < len(self.countries):
            raise UserError(f"data.countries names a scenario twice: {list(self.countries)}; remove one")
        found = {country: self._find(country) for country in self.countries}
        space = IdSpace("hash", self.shared) if self.shared else None

        held: dict[tuple[str, int], pl.Series] = {}

        def stream() -> Iterator[Chunk]:
            for country, files in found.items():
                for place, rows in enumerate(files.rows("train")):
                    known = held.get((country, place))  # hashing costs a fifth of reading, so that it is done once
                    if known is None or len(known) != rows.height:
                        known = held[country, place] = held_out(rows["search_id"], self.validation)
                    yield country, rows.with_columns(as_split(known))
                for rows in files.rows("test"):
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
                scenarios=dict.fromkeys(self.countries, ("ctr", "ctcvr")),
                group="search_id",
            ),
            stream,
            fingerprint=f"{files.digest}:{self.model_dump_json(exclude={'folder'})}",
            origin=str(self._files()),
            notes=(
                f"{self.validation:.0%} of the training search pages are validation rows, by a hash of the search id",
            ),
            allow_one_class=self.allow_one_class,
            files=files,
            parsed=True,
        )

    def _find(self, country: str) -> Processed | Original:
        folder = self._files()
        processed = folder / f"AliExpress_{country}"
        if (processed / "train.csv").exists() and (processed / "test.csv").exists():
            return Processed(processed)
        original = Original(folder, country.lower())
        if original.complete():
            return original
        raise UserError(
            f"no AliExpress logs of {country} in {folder}: neither {processed.name}/train.csv and test.csv nor"
            f" {country.lower()}_user_train.zip and its three companions, also not inside a zip there; the release is"
            " Tianchi data set 74690, which asks for a login"
        )


class Processed:
    """A country's two CSV files with a header."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> list[Path]:
        return [self.folder / "train.csv", self.folder / "test.csv"]

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


class Original:
    """A country's four zips, each with one CSV; read where they are, also inside another zip."""

    def __init__(self, folder: Path, country: str) -> None:
        self.folder, self.country = folder, country
        self.outer = self._outer()
        self._pages: dict[str, Pages] = {}

    def _names(self) -> list[str]:
        return [f"{self.country}_{kind}_{part}.zip" for part in ("train", "test") for kind in ("user", "item")]

    def _outer(self) -> tuple[Path, dict[str, str]] | None:
        """The zip that holds the four, and their names in it."""
        for path in sorted(self.folder.glob("*.zip")):
            try:
                with zipfile.ZipFile(path) as archive:
                    inside = {Path(name).name: name for name in archive.namelist()}
            except zipfile.BadZipFile as error:
                raise UserError(f"{path} is truncated or damaged; fetch it again") from error
            if all(name in inside for name in self._names()):
                return path, inside
        return None

    def complete(self) -> bool:
        return self.outer is not None or all((self.folder / name).exists() for name in self._names())

    def paths(self) -> list[Path]:
        return [self.outer[0]] if self.outer else [self.folder / name for name in self._names()]

    @contextmanager
    def _open(self, kind: str, part: str) -> Iterator[tuple[IO[bytes], str]]:
        """The CSV as a byte stream, and what to call it."""
        name = f"{self.country}_{kind}_{part}.zip"
        with ExitStack() as stack:
            try:
                if self.outer:
                    archive = stack.enter_context(zipfile.ZipFile(self.outer[0]))
                    inner: IO[bytes] | Path = stack.enter_context(archive.open(self.outer[1][name]))
                else:
                    inner = self.folder / name
                content = stack.enter_context(zipfile.ZipFile(inner))
                listed = [n for n in content.namelist() if n.endswith(".csv")]
                if len(listed) != 1:
                    raise UserError(f"{self.folder / name} holds {len(listed)} CSV files, not one")
                yield stack.enter_context(content.open(listed[0])), f"{self.folder / name}: {listed[0]}"
            except (zipfile.BadZipFile, EOFError, zlib.error) as error:
                raise UserError(f"{self.folder / name} is truncated or damaged; fetch it again") from error

    def rows(self, part: str) -> Iterator[pl.DataFrame]:
        if part not in self._pages:
            with self._open("user", part) as (stream, name):
                pages = Pages(_named(block, USER, name) for block in csv_blocks(stream, name, len(USER)))
                if not len(pages):
                    raise UserError(f"{name} is empty; fetch it again")
                self._pages[part] = pages
        with self._open("item", part) as (stream, name):
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
