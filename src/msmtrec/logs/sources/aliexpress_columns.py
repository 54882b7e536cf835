"""The columns of the AliExpress release, by their names in the processed form (MTReclib)."""

from __future__ import annotations

from collections.abc import Iterator

CATEGORICAL = tuple(f"categorical_{n}" for n in range(1, 17))
NUMERIC = tuple(f"numerical_{n}" for n in range(1, 64))
PROCESSED = ("search_id", *CATEGORICAL, *NUMERIC, "click", "conversion")
USER = ("search_id", *CATEGORICAL[:7], *NUMERIC[:23], *CATEGORICAL[7:9])
"""The 33 columns of the original user file."""
_ITEM_CODES = dict(zip((19, 34, 35, 36, 40, 41, 42), CATEGORICAL[9:], strict=True))


def _item_columns() -> Iterator[str]:
    numeric = iter(NUMERIC[23:])
    yield "search_id"
    for column in range(2, 49):
        yield _ITEM_CODES.get(column) or next(numeric)


ITEM = tuple(_item_columns())
"""Columns 1-48 of the original item file; the 49th is 0 none, 1 click, 2 click and buy."""
