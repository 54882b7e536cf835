"""Lists written as text: `7|8`, or a JSON list such as `[7, 8]` or `["a,b", "c"]`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.data.encoding.missing import blanked

_TEXTS = pl.List(pl.String)


def divided(texts: pl.Series, feature: Feature, missing: Sequence[str], where: str) -> pl.Series:
    """The values of a text column, as lists of text.

    Blanks at the ends of a value do not belong to it. Two separators in a row have no value between them. A text in
    square brackets is a JSON list; the single quotes that Python writes will do.

    Args:
        missing: words that stand for no value.
        where: what a sentence calls the rows.

    Raises:
        UserError: a text in square brackets is no JSON list of single values.
    """
    texts = texts.str.strip_chars()
    lists = texts.str.split(feature.separator or "")
    if texts.str.contains(r"\s").any():
        lists = _each(lists, pl.element().str.strip_chars())
    bracketed = (texts.str.starts_with("[") & texts.str.ends_with("]")).fill_null(False)
    if bracketed.any():
        lists = _decoded(texts.set(~bracketed, None), where).zip_with(bracketed, lists)
    kept = blanked(pl.col(texts.name), _TEXTS, missing)
    assert kept is not None  # lists have always something to look for
    return lists.to_frame().select(kept.alias(feature.name)).to_series()


def _decoded(texts: pl.Series, where: str) -> pl.Series:
    double = texts.str.contains('"', literal=True)
    texts = texts.zip_with(double.fill_null(True), texts.str.replace_all("'", '"', literal=True))
    try:
        return texts.str.json_decode(_TEXTS)
    except pl.exceptions.ComputeError as error:
        known = texts.drop_nulls()
        odd = next((text for text in known if not _is_list(text)), known[0])
        raise UserError(
            f"{where}: column '{texts.name}' holds {odd!r}, which is no JSON list of single values; write ['a', 'b'],"
            " or the values with a separator between them and no brackets"
        ) from error


def _is_list(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    single = not any(isinstance(value, list | dict) for value in found)
    return single and all(isfinite(value) for value in found if isinstance(value, float))  # NaN is Python's own


def _each(lists: pl.Series, change: pl.Expr) -> pl.Series:
    return lists.to_frame().select(pl.col(lists.name).list.eval(change)).to_series()
