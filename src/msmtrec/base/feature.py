"""What a column of the logs means: its kind, its id space, how it is scaled. Frozen, without any data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import Literal

from msmtrec.base.errors import UserError

FIRST_ID = 2
"""Ids 0 and 1 of every categorical field are reserved."""
MISSING_ID = 0
"""The id of a missing value: it has a trained embedding of its own."""
UNKNOWN_ID = 1
"""The id of a value outside the vocabulary or the agreed id space."""
MOST_IDS = 2**31 - 1
"""Of all fields of a table together: ids are 32-bit numbers."""
PADDING = -1
"""Fills the unused places of a multi-valued field; masked out of the pooling."""


@dataclass(frozen=True)
class IdSpace:
    """An id space that the scenarios of a data set agree on without exchanging rows.

    Args:
        kind: `ids` - the values are integers 0 … size-1 already (platform-wide user or item ids);
            `values` - a public list, such as a catalogue; `hash` - a stable 64-bit hash modulo size; `sealed` - such a
            list as others are told of it: nothing can be looked up in it.
        size: number of ids or hash buckets, reserved ids not counted.
        values: the list, for kind `values`; its digest, for kind `sealed`.
    """

    kind: Literal["ids", "values", "hash", "sealed"]
    size: int
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"an id space needs at least one id, not {self.size}")
        if self.kind == "values" and len(self.values) != self.size:
            raise UserError(f"an id space of kind 'values' lists {len(self.values)} values but says {self.size}")

    @classmethod
    def of_values(cls, values: Iterable[object]) -> IdSpace:
        """The agreed list, in the order given.

        Raises:
            UserError: a value is listed twice.
        """
        listed = tuple(str(value) for value in values)
        for value, times in Counter(listed).items():
            if times > 1:
                raise UserError(f"an id space lists the value '{value}' {times} times; list it once")
        return cls("values", len(listed), listed)


@dataclass(frozen=True)
class Feature:
    """One input field of an impression.

    Args:
        name: column name.
        kind: `categorical`, `numeric`, `multi` (several values a row, mean-pooled), or `sequence` (recent values in
            order, such as the items a user has seen), `vector` (`size` numbers, such as an embedding of the item).
        shared: the agreed id space, where scenarios have this field's values in common; None keeps the field private.
        hash: buckets of a private field's table, instead of a vocabulary of the training rows' values.
        min_count: training rows that a value of a private vocabulary needs; rarer ones are unknown values.
        size: vector: how many numbers.
        scale: numeric: `standard` deviations from the mean; `log`: of log(1 + x) (negative values are refused);
            `quantile`: the normal score of the value's rank among the training rows. vector: `standard`, every number
            of it by itself, or `none`: as it is.
        clip: numeric, vector: standard deviations, after scaling, at which values are cut off on either side; None cuts
            none.
        max_values: multi and sequence: how many values of a row are kept, the first ones or the newest ones.
        newest: sequence: at which end of the list the newest value stands, `last` or `first`.
        of: sequence: the categorical feature whose ids and embeddings the values have, as items seen and item shown.
        pooling: sequence: `mean`, or `attention` of the value of `of` over the sequence.
        missing: numeric, vector: values may be missing, which one more column then says; False refuses missing values.
        separator: multi, sequence, vector: between the values of a text; lists need none, and None refuses text.
        weight_separator: multi: every value is text with a weight behind this separator, such as "12:0.5", and the
            values' embeddings are pooled by their weights: sum(w·e) / sum(w); None weighs all alike.
        cross: categorical: the raw columns whose values together are this feature's value, missing where any is; such
            a feature is no column of the logs, it is made when rows are encoded.
        expression: categorical and numeric: SQL of one row, which gives the value; no column of the logs either.
        reads: (raw column, kind) of all that the expression reads, see `data.encoding.expressions`.
    """

    name: str
    kind: Literal["categorical", "numeric", "multi", "sequence", "vector"] = "categorical"
    shared: IdSpace | None = None
    hash: int | None = None
    _: KW_ONLY
    min_count: int = 1
    size: int | None = None
    scale: Literal["standard", "log", "quantile", "none"] = "standard"
    clip: float | None = None
    max_values: int = 1
    newest: Literal["last", "first"] = "last"
    of: str | None = None
    pooling: Literal["mean", "attention"] = "mean"
    missing: bool = True
    separator: str | None = None
    weight_separator: str | None = None
    cross: tuple[str, ...] = ()
    expression: str = ""
    reads: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        has_ids, listed, single = self.has_ids, self.has_lists, self.kind in ("categorical", "numeric")
        for option, used, fits, need in (
            ("shared", self.shared is not None, has_ids and self.of is None, "ids of its own"),
            ("hash", self.hash is not None, has_ids and self.of is None, "ids of its own"),
            ("min_count", self.min_count != 1, has_ids and self.of is None, "ids of its own"),
            ("scale", self.scale != "standard", not has_ids, "kind 'numeric'"),
            (f"scale: {self.scale}", self.scale in ("log", "quantile"), self.kind == "numeric", "kind 'numeric'"),
            ("scale: none", self.scale == "none", self.kind == "vector", "kind 'vector'"),
            ("size", self.size is not None, self.kind == "vector", "kind 'vector'"),
            ("clip", self.clip is not None, not has_ids, "kind 'numeric' or 'vector'"),
            ("clip", self.clip is not None, self.scale != "none", "a scale"),
            ("missing", not self.missing, not has_ids, "kind 'numeric' or 'vector'"),
            ("cross", bool(self.cross), self.kind == "categorical", "kind 'categorical'"),
            ("expression", bool(self.expression), single, "kind 'categorical' or 'numeric'"),
            ("expression", bool(self.expression), not self.cross, "no 'cross'"),
            ("max_values", self.max_values != 1, listed, "kind 'multi' or 'sequence'"),
            ("separator", self.separator is not None, listed or self.kind == "vector", "lists"),
            ("weight_separator", self.weight_separator is not None, self.kind == "multi", "kind 'multi'"),
            ("newest", self.newest != "last", self.kind == "sequence", "kind 'sequence'"),
            ("of", self.of is not None, self.kind == "sequence", "kind 'sequence'"),
            ("pooling", self.pooling != "mean", self.of is not None, "'of', the feature that attends"),
            ("min_count", self.min_count != 1, self.hash is None, "a vocabulary, which 'hash' replaces"),
        ):
            if used and not fits:
                raise UserError(f"feature '{self.name}' ({self.kind}): {option} needs {need}; remove {option}")
        if self.weight_separator is not None and self.weight_separator in ("", self.separator):
            raise UserError(f"feature '{self.name}': weight_separator must be another one than separator")
        if self.kind == "vector" and self.size is None:
            raise UserError(f"feature '{self.name}': a vector needs size, how many numbers it has")
        for option in ("hash", "min_count", "max_values", "size"):
            if (value := getattr(self, option)) is not None and value < 1:
                raise UserError(f"feature '{self.name}': {option} must be at least 1, not {value}")

        if self.clip is not None and not 0 < self.clip < inf:
            raise UserError(f"feature '{self.name}': clip must be a positive number, not {self.clip}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is made of: itself, unless it is a cross or an expression; parts of a cross may be such."""
        return self.parts if not self.expression else tuple(column for column, _ in self.reads)

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns of rows in which expressions are computed."""
        return self.cross or (self.name,)

    @property
    def has_ids(self) -> bool:
        """Whether its values are looked up in a table of embeddings."""
        return self.kind not in ("numeric", "vector")

    @property
    def has_lists(self) -> bool:
        """Whether a row holds several values with ids."""
        return self.kind in ("multi", "sequence")
