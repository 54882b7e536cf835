"""What is in an SQL expression, by polars' own tree of it: whether it is of one row, and which numbers become text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import polars as pl

_OF_ROWS = ("Any", "All", "ApproxNUnique", "Correlation", "DropNulls", "NullCount", "Range", "Shift", "Unique")
"""Functions that look beyond the row."""
_BEYOND = {"Len": "count", "Over": "OVER", "Explode": "unnest"}


class Unknown(Exception):
    """A part of a tree that is not known to be a value of one row."""


def tree_of(expression: pl.Expr) -> Any:
    """As plain data.

    Raises:
        PolarsError: it is more than an expression of columns.
    """
    return json.loads(expression.meta.serialize(format="json"))


def beyond(node: Any) -> Iterator[str]:
    """What is not of one row.

    Raises:
        Unknown: a part may be.
    """
    name, inner = _opened(node)
    if name == "Function" and (function := _named(inner["function"])) in _OF_ROWS:
        yield function
    elif name == "Agg":
        yield _named(inner).lower()
    elif name in _BEYOND:
        yield _BEYOND[name]
    else:
        for part in _parts(name, inner):
            yield from beyond(part)


def made_text(node: Any) -> Iterator[pl.Expr]:
    """What becomes text, by a cast or beside other text."""
    name, inner = _opened(node)
    parts = _parts(name, inner)
    joins = name == "Function" and "ConcatHorizontal" in json.dumps(inner["function"])
    if joins or (name == "Cast" and inner["dtype"] == {"Literal": "String"}):
        yield from (pl.Expr.deserialize(StringIO(json.dumps(part)), format="json") for part in parts)
    for part in parts:
        yield from made_text(part)


def _opened(node: Any) -> tuple[str, Any]:
    return next(iter(node.items())) if isinstance(node, dict) else (str(node), {})


def _parts(name: str, inner: Any) -> list[Any]:
    match name:
        case "Column" | "Literal":
            return []
        case "BinaryExpr":
            return [inner["left"], inner["right"]]
        case "Ternary":
            return [inner["predicate"], inner["truthy"], inner["falsy"]]
        case "Cast":
            return [inner["expr"]]
        case "Function":
            return list(inner["input"])
    raise Unknown(name)


def _named(function: Any) -> str:
    """The last name of a function such as {"Boolean": {"Any": …}}."""
    if not isinstance(function, dict):
        return str(function)
    name, inner = next(iter(function.items()))
    return _named(inner) if name == "Boolean" else str(name)
