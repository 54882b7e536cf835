"""What a data set is: features, tasks, scenarios. Frozen, serialisable, without any data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from math import inf
from typing import Any, Literal

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
            `values` - a public list, such as a catalogue; `hash` - a stable 64-bit hash modulo size.
        size: number of ids or hash buckets, reserved ids not counted.
        values: the list, for kind `values`.
    """

    kind: Literal["ids", "values", "hash"]
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


@dataclass(frozen=True)
class Task:
    """One label to predict.

    Args:
        name: as shown in tables.
        column: label column with 0, 1 or missing (masked).
        within: the task whose positives contain this one's (CTCVR within CTR); checked on the data.
        negatives_kept: the share of the rows with label 0 that are in the logs, drawn at random; 1: all of them.
        conditional: of a task within one whose negatives were sampled: whether its labels are empty wherever that one's
            is 0, so that sampling does not touch them. Found out when an encoder is fitted.
        expression: SQL of one row that gives the label, which is then no column of the logs; see `Feature`.
        positive: values of the one column in `reads` that are 1; they make the label, like an expression.
        negative: those that are 0.
        reads: (raw column, kind) of all that a made label is made of.
    """

    name: str
    column: str = ""
    within: str | None = None
    _: KW_ONLY
    negatives_kept: float = 1.0
    conditional: bool = False
    expression: str = ""
    positive: tuple[str | float | bool, ...] = ()
    negative: tuple[str | float | bool, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        return self.column or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that the label is made of: itself, unless it is made of others."""
        return tuple(column for column, _ in self.reads) or (self.label,)


@dataclass(frozen=True)
class Schema:
    """A data set without its rows.

    Args:
        name: data set name.
        features: input fields, in model order.
        tasks: all tasks of any scenario, in table order.
        scenarios: scenario name -> names of the tasks it has.
        group: column that identifies the user or session (tests, GAUC); None where there is none.
        weight: column that says how much a row counts, in losses and in figures; None where all count alike.
        missing: texts that stand for a missing value in raw rows, besides no value at all and the empty text.
        whole: raw columns of ids whose training values are numbers throughout, all of them whole where they are text:
            in text of later rows `7.0` is `7` there. Elsewhere text stays as it is written.
        joined: raw column -> the side table that it was joined from; later rows must bring it along.
    """

    name: str
    features: tuple[Feature, ...]
    tasks: tuple[Task, ...]
    scenarios: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _: KW_ONLY
    group: str | None = None
    weight: str | None = None
    missing: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    joined: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, names in (
            ("feature", [f.name for f in self.features]),
            ("task", [t.name for t in self.tasks]),
        ):
            if not names:
                raise UserError(f"data set '{self.name}' declares no {what}; declare at least one")
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise UserError(f"data set '{self.name}' declares {what} '{twice[0]}' twice; remove one")
        labels = {column for task in self.tasks for column in (task.label, *task.columns)}
        if self.weight in {*labels, *(column for feature in self.features for column in feature.columns)}:
            raise UserError(
                f"data set '{self.name}': column '{self.weight}' is the rows' weight and also a label or a feature"
                " (leakage); take another column"
            )
        for feature in self.features:
            if feature.name in labels:
                raise UserError(
                    f"data set '{self.name}': column '{feature.name}' is a label and also a feature (leakage);"
                    " remove it from the features"
                )
            for part in feature.cross:
                if part in labels:
                    raise UserError(
                        f"data set '{self.name}': feature '{feature.name}' crosses '{part}', which is a label"
                        " (leakage); cross other columns"
                    )
            for column, _ in feature.reads:
                if column in labels:
                    raise UserError(
                        f"data set '{self.name}': the expression of feature '{feature.name}' reads '{column}', which is"
                        " a label or decides one (leakage); leave it out"
                    )
        for feature in self.features:
            if feature.of is not None and not any(
                f.name == feature.of and f.kind == "categorical" for f in self.features
            ):
                raise UserError(
                    f"data set '{self.name}': feature '{feature.name}' is a sequence of '{feature.of}', which is no"
                    " categorical feature; declare that or remove 'of'"
                )

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    @property
    def numeric(self) -> tuple[Feature, ...]:
        return tuple(f for f in self.features if f.kind == "numeric")

    @property
    def vectors(self) -> tuple[Feature, ...]:
        return tuple(f for f in self.features if f.kind == "vector")

    @property
    def weighted(self) -> tuple[Feature, ...]:
        """Those whose values have weights."""
        return tuple(f for f in self.features if f.weight_separator is not None)

    @property
    def categorical(self) -> tuple[Feature, ...]:
        """Everything but numerics and vectors: fields with ids."""
        return tuple(f for f in self.features if f.has_ids)

    def owner(self, feature: Feature) -> Feature:
        """The feature whose id space and embeddings a field uses: its own, or those it is a sequence of."""
        return next(f for f in self.features if f.name == (feature.of or feature.name))

    def sampled_by(self, task: Task) -> Task | None:
        """The task whose sampled negatives a task's rows come from: itself, or what it lies within; None: neither."""
        tasks, passed = {found.name: found for found in self.tasks}, set[str]()
        while task.negatives_kept == 1:
            passed.add(task.name)
            if task.within is None or task.within in passed:  # a circle is refused elsewhere
                return None
            task = tasks[task.within]
        return task

    def has_task(self, scenario: str) -> list[bool]:
        """[T] whether the scenario has each task."""
        return [name in self.scenarios[scenario] for name in self.task_names]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON and for the fingerprint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Schema:
        """What `as_dict` gave, also after JSON has made lists of its tuples.

        Raises:
            TypeError, KeyError: it is something else.
            UserError: its parts do not fit together.
        """
        return cls(
            raw["name"],
            tuple(_feature(feature) for feature in raw["features"]),
            tuple(_task(task) for task in raw["tasks"]),
            {name: tuple(tasks) for name, tasks in raw["scenarios"].items()},
            group=raw["group"],
            weight=raw.get("weight"),  # runs of earlier versions have none
            missing=tuple(raw["missing"]),
            whole=tuple(raw["whole"]),
            joined=raw["joined"],
        )


def _feature(raw: Mapping[str, Any]) -> Feature:
    shared = raw["shared"] and IdSpace(**{**raw["shared"], "values": tuple(raw["shared"]["values"])})
    return Feature(**{**raw, "shared": shared, "cross": tuple(raw["cross"]), "reads": _reads(raw)})


def _task(raw: Mapping[str, Any]) -> Task:
    lists = {name: tuple(raw[name]) for name in ("positive", "negative")}
    return Task(**{**raw, **lists, "reads": _reads(raw)})


def _reads(raw: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((column, kind) for column, kind in raw["reads"])
