"""Ids as Python values to text, and text to what a graph takes: itself, or a bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.schema import Schema
from msmtrec.data.encoding.missing import numbers_in
from msmtrec.data.hashing import stable_hash
from msmtrec.serving.onnx.inputs import Input

_NONE = type(None)
_LAST = 2**63 - 1


def nothing_of(schema: Schema) -> frozenset[str | float]:
    return frozenset(("", *schema.missing, *numbers_in(schema.missing)))


def may_be_fractions(values: Sequence[Any]) -> bool:
    """Whether a text may be a whole number with a fraction of zeros, of which a table knows whether it is whole."""
    return any(v is not None and v.endswith("0") and "." in v for v in values)


@dataclass(frozen=True)
class Texts:
    """Values as text, and text as what the graph takes: itself, or a bucket.

    Args:
        kinds: raw column -> kind of its training values.
    """

    schema: Schema
    kinds: Mapping[str, str]
    one: Input
    nothing: frozenset[str | float]

    def of(self, column: str, values: Sequence[Any]) -> Sequence[str | None] | None:
        """[N] of one column, or of what its lists hold, None where missing."""
        kinds = set(map(type, values)) - {_NONE}
        trained = self.kinds.get(column, "")
        nothing = self.nothing
        if not kinds:
            return values
        if trained == "truth values":
            if kinds != {bool} or not nothing.isdisjoint(("true", "false")):
                return None
            return [None if v is None else str(v).lower() for v in values]
        if trained not in ("text", "numbers"):
            return None
        if kinds == {str} and not (column in self.schema.whole and may_be_fractions(values)):
            return [None if v in nothing else v for v in values]
        if kinds == {int}:
            known = [v for v in values if v is not None]
            if min(known) >= -_LAST and max(known) <= _LAST:
                return [None if v is None or v in nothing else str(v) for v in values]
        return None

    def array(self, texts: Sequence[str | None]) -> NDArray[Any]:
        """[N] for the graph."""
        one = self.one
        if one.buckets is None:
            return np.array(["" if text is None else text for text in texts], object)
        distinct = [text for text in set(texts) if text is not None]
        hashes = stable_hash([one.prefix + text for text in distinct]) % np.uint64(one.buckets)
        bucket: dict[str | None, int] = dict(zip(distinct, hashes.tolist(), strict=True))
        bucket[None] = -1
        return np.array([bucket[text] for text in texts], np.int64)
