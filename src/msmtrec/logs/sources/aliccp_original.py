"""Ali-CCP as released (Tianchi 408): impressions in skeletons, what they have in common with others in a file beside.

sample_skeleton_{train,test}.csv: sample id, click, conversion, common features' id, count, features.
common_features_{train,test}.csv: id, count, features. No headers. They are read where they are, also in
sample_{train,test}.tar.gz; only the common features are held, as numbers: some 150 bytes a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.archives import Place, opened
from msmtrec.logs.reading.csv_blocks import csv_blocks
from msmtrec.logs.sources.aliccp_fields import ITEM, MULTI, USER, columns
from msmtrec.logs.sources.aliccp_files import Original

_KEY = "__common"


class Impressions:
    """The rows of the release's four files.

    Args:
        max_values: how many values a multi-valued field keeps.
    """

    def __init__(self, files: Original, max_values: int) -> None:
        self.places, self.max_values = files.places, max_values
        self._common: dict[str, pl.DataFrame] = {}

    def rows(self, part: str) -> Iterator[pl.DataFrame]:
        """Impressions in file order: every field, weights, click and purchase."""
        if part not in self._common:
            self._common[part] = self._read_common(part)
        common = self._common[part]
        places = common.select(_KEY).with_row_index("__place")
        for block, where in self._blocks(f"sample_skeleton_{part}.csv", 6):
            found = block.select(pl.col("column_4").alias(_KEY)).join(
                places, on=_KEY, how="left", maintain_order="left"
            )["__place"]
            if found.null_count():
                row = int(found.is_null().arg_max() or 0)
                name = f"common_features_{part}.csv"
                raise UserError(f"{where(row)} refers to {block['column_4'][row]!r}, which {name} does not have")
            own = columns(block["column_6"], ITEM, self.max_values, where)
            rows = own.hstack([_label(block, 2, where).alias("click"), _label(block, 3, where).alias("purchase")])
            rows = rows.hstack(common.drop(_KEY)[found])
            yield rows.with_columns(pl.col(field).arr.to_list() for field in MULTI)

    def _read_common(self, part: str) -> pl.DataFrame:
        found = [
            columns(block["column_3"], USER, self.max_values, where).with_columns(block["column_1"].alias(_KEY))
            for block, where in self._blocks(f"common_features_{part}.csv", 3)
        ]
        if not found:
            raise UserError(f"{self.places[f'common_features_{part}.csv']} is empty; fetch it again")
        return pl.concat(found, rechunk=True).unique(_KEY, keep="last", maintain_order=True)

    def _blocks(self, name: str, fields: int) -> Iterator[tuple[pl.DataFrame, partial[str]]]:
        """Text columns of many lines, and what to call one of them."""
        place, line = self.places[name], 1
        with opened(place) as stream:
            for block in csv_blocks(stream, str(place), fields):
                yield block, partial(_where, place, line)
                line += block.height


def _where(place: Place, first: int, row: int) -> str:
    return f"{place}: line {first + row}"


def _label(block: pl.DataFrame, column: int, where: partial[str]) -> pl.Series:
    text = block[f"column_{column}"]
    odd = ~text.is_in(["0", "1"]).fill_null(False)
    if odd.any():
        row = int(odd.arg_max() or 0)
        raise UserError(f"{where(row)} has {text[row]!r} as its {('click', 'conversion')[column - 2]}, not 0 or 1")
    return text.cast(pl.Int8)
