"""What the YAML of own logs says of columns, labels and id spaces, and which uses exclude each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Task
from msmtrec.base.settings import Name, Settings
from msmtrec.data.encoding.same import same
from msmtrec.logs.sources.settings.split import Split

Files = Path | tuple[Path, ...]
"""A file, a pattern, or a list of either."""


class Shared(Settings):
    """The id space of a field that scenarios have in common: exactly one of

    Args:
        ids: values are integers 0 … ids-1 already.
        hash: stable hash modulo this many buckets.
        values: an agreed list.
    """

    ids: int | None = Field(default=None, ge=1)
    hash: int | None = Field(default=None, ge=1)
    values: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> Shared:
        if sum(value is not None for value in (self.ids, self.hash, self.values)) != 1:
            raise ValueError("give exactly one of ids, hash, values")
        try:
            self.space()
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def space(self) -> IdSpace:
        if self.values is not None:
            return IdSpace.of_values(self.values)
        return IdSpace("ids", self.ids) if self.ids else IdSpace("hash", self.hash or 1)


class Column(Settings):
    """One feature.

    Args:
        kind: categorical, numeric, multi (several values a row), sequence (recent values in order) or vector (a fixed
            number of numbers a row, such as an embedding of the item).
        shared: id space in common; leave it out for a private field.
        hash: private field: buckets of its table, instead of a vocabulary of the training rows' values.
        min_count: private field: training rows that a value needs; rarer ones are unknown values.
        cross: categorical: the columns whose values together are this feature's value; missing where any is.
        expression: categorical, numeric: SQL of one row over the raw columns, such as price / area; the feature is then
            no column of the files.
        size: vector: how many numbers.
        scale: numeric: standard, log (of 1 + x) or quantile (normal score of the rank); vector: standard (every number
            by itself) or none (as it is).
        clip: numeric, vector: standard deviations, after scaling, at which values are cut off on either side.
        separator: multi, sequence, vector: between the values of a text column (Parquet lists need none); default ",".
        weights: multi: every value has a weight behind it, such as 12:0.5; embeddings are pooled by sum(w·e) / sum(w).
        weight_separator: multi with weights: between a value and its weight; default ":".
        max_values: multi, sequence: how many values of a row are kept; default 8.
        newest: sequence: at which end the newest value stands, last or first.
        of: sequence: the categorical feature whose ids and embeddings the values have.
        pooling: sequence: mean, or attention of the value of `of` over the sequence.
        missing: numeric, vector: whether values may be missing; false saves the column that says where.
    """

    kind: Literal["categorical", "numeric", "multi", "sequence", "vector"] = "categorical"
    shared: Shared | None = None
    hash: int | None = Field(default=None, ge=1)
    min_count: int = Field(default=1, ge=1)
    cross: tuple[str, ...] | None = Field(default=None, min_length=2)
    expression: str | None = Field(default=None, min_length=1)
    size: int | None = Field(default=None, ge=1)
    scale: Literal["standard", "log", "quantile", "none"] = "standard"
    clip: float | None = Field(default=None, gt=0)
    separator: str | None = Field(default=None, min_length=1)
    weights: bool = False
    weight_separator: str | None = Field(default=None, min_length=1)
    max_values: int | None = Field(default=None, ge=1)
    newest: Literal["last", "first"] = "last"
    of: str | None = None
    pooling: Literal["mean", "attention"] = "mean"
    missing: bool = True

    @model_validator(mode="after")
    def _fitting(self) -> Column:
        if self.cross and self.kind != "categorical":
            raise ValueError(f"cross needs kind categorical, not {self.kind}")
        if self.separator and not self.may_hold_lists:
            raise ValueError(f"separator needs kind multi, sequence or vector, not {self.kind}")
        if self.weights and self.kind != "multi":
            raise ValueError(f"weights needs kind multi, not {self.kind}")
        if self.weight_separator and not self.weights:
            raise ValueError("weight_separator needs weights: true")
        if self.expression:
            _parsed(self.expression)
        try:
            self.feature("")
        except UserError as error:
            raise ValueError(str(error).partition(": ")[2]) from error
        return self

    @property
    def has_lists(self) -> bool:
        return self.kind in ("multi", "sequence")

    @property
    def may_hold_lists(self) -> bool:
        return self.has_lists or self.kind == "vector"

    def feature(self, name: str, kinds: Mapping[str, str] | None = None) -> Feature:
        """What the schema says of this column.

        Args:
            kinds: column that an expression reads -> kind.

        Raises:
            UserError: options that do not fit together.
        """
        return Feature(
            name,
            self.kind,
            shared=self.shared.space() if self.shared else None,
            hash=self.hash,
            min_count=self.min_count,
            size=self.size,
            scale=self.scale,
            clip=self.clip,
            max_values=self.max_values or (8 if self.has_lists else 1),
            newest=self.newest,
            of=self.of,
            pooling=self.pooling,
            missing=self.missing,
            separator=(self.separator or ",") if self.may_hold_lists else None,
            weight_separator=(self.weight_separator or ":") if self.weights else None,
            cross=self.cross or (),
            expression=self.expression or "",
            reads=read_by(self.expression, kinds),
        )


def _columns_in(expression: str) -> tuple[str, ...]:
    """The columns that an expression reads; errors as `expressions.columns_in`."""
    from msmtrec.data.encoding.expressions import columns_in  # not before there is one: polars understands it

    return columns_in(expression)


def _parsed(expression: str) -> None:
    """Raises ValueError: it is no expression of one row."""
    try:
        _columns_in(expression)
    except UserError as error:
        raise ValueError(f"expression: {error}") from error


def read_by(expression: str | None, kinds: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """(column, kind) of what an expression reads; none before the kinds are known."""
    return tuple((column, kinds[column]) for column in _columns_in(expression)) if expression and kinds else ()


def misused(
    features: Mapping[str, Column], tasks: Mapping[str, Label], keys: Collection[str], split: Split
) -> Iterator[str]:
    """A sentence for every column that is used in two ways which exclude each other.

    Args:
        keys: columns that name the scenario, the group, and rows that count once.
    """
    deciding = [column for column in (split.column, split.time, split.within) if column]
    labels = {column for name, task in tasks.items() for column in (task.label(name), *task.raw(name))}
    by_expression = {name: _columns_in(column.expression) for name, column in features.items() if column.expression}
    read = {column for columns in by_expression.values() for column in columns}
    for name in (*features, *labels, *keys, *deciding, *read):
        if name.startswith("__"):
            yield f"column '{name}': names that begin with two underscores are this program's own; rename it"
    for name, column in features.items():
        if name == split.within and column.has_lists:
            yield f"split.within '{name}' is a {column.kind} feature; name a column of single values, such as the user"
        if name == split.column:
            yield f"feature '{name}' decides the split (leakage); remove it from the features"
        if (column.cross and name in (*keys, *deciding)) or (column.expression and name in (*keys, *deciding, *read)):
            what = "a cross" if column.cross else "an expression"
            yield f"feature '{name}' is {what} and has the name of a column in use; name it otherwise"
        if name in {column for task, label in tasks.items() if label.made for column in label.raw(task)}:
            yield f"feature '{name}' decides a label (leakage); remove it from the features"
        for part in by_expression.get(name, ()):
            if part in labels or part == split.column:
                what = "decides the split" if part == split.column else "is a label or decides one"
                yield f"the expression of feature '{name}' reads '{part}', which {what} (leakage); leave it out"
        for part in column.cross or ():
            other = features.get(part)
            if part in labels:
                yield f"feature '{name}' crosses '{part}', which is a label (leakage); cross other columns"
            elif part in (split.column, split.time):
                yield f"feature '{name}' crosses '{part}', which decides the split; cross other columns"
            elif other and (other.kind != "categorical" or other.cross):
                what = "a cross itself" if other.cross else f"a {other.kind} feature"
                yield f"feature '{name}' crosses '{part}', which is {what}; cross columns of single values"
    for name, task in tasks.items():
        if task.made and name in (*keys, *deciding):
            yield f"task '{name}' has the name of a column in use; name it otherwise"


class Label(Settings):
    """One task.

    Args:
        column: of the labels 0, 1 or empty; None: the task's name.
        within: the task that it lies within, such as click for a conversion.
        scenarios: which have it; None: all.
        negatives_kept: the share of the rows with label 0 that are in the logs, where the others were left out at
            random; probabilities are brought back to the rate of all rows.
        expression: instead of a column: SQL of one row over the raw columns, true or false, such as rating > 3.
        positive: values of the column that are 1, such as [yes, 1], where it does not hold 0 and 1; with `negative`.
        negative: those that are 0; a value in neither list is refused.
    """

    column: str | None = None
    within: str | None = None
    scenarios: tuple[Name, ...] | None = None
    negatives_kept: float = Field(default=1.0, gt=0, le=1)
    expression: str | None = Field(default=None, min_length=1)
    positive: tuple[str | int | float | bool, ...] = ()
    negative: tuple[str | int | float | bool, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Label:
        if self.expression and (self.column or self.positive or self.negative):
            raise ValueError("expression is the whole label; remove column, positive and negative")
        if bool(self.positive) != bool(self.negative):
            raise ValueError("positive and negative need each other; give both")
        for one in self.positive:
            if any(same(one, other) or same(other, one) for other in self.negative):
                raise ValueError(f"{one!r} is positive and negative; remove it from one of them")
        if self.expression:
            _parsed(self.expression)
        return self

    @property
    def made(self) -> bool:
        """Whether the label is no column of the logs."""
        return bool(self.expression or self.positive)

    def label(self, name: str) -> str:
        """The rows' column of labels; `name` is the task's."""
        return name if self.made else self.column or name

    def raw(self, name: str) -> tuple[str, ...]:
        """The logs' columns that the label is made of."""
        return _columns_in(self.expression) if self.expression else (self.column or name,)

    def task(self, name: str, kinds: Mapping[str, str]) -> Task:
        """What the schema says of it; `kinds` as for `Column.feature`."""
        reads = read_by(self.expression, kinds) or tuple((column, "text") for column in self.raw(name))
        return Task(
            name,
            self.label(name),
            self.within,
            negatives_kept=self.negatives_kept,
            expression=self.expression or "",
            positive=self.positive,
            negative=self.negative,
            reads=reads if self.made else (),
        )


def label_columns(labels: Mapping[str, Label]) -> tuple[str, ...]:
    """Raw columns that labels are made of."""
    return tuple(dict.fromkeys(column for name, label in labels.items() for column in label.raw(name)))
