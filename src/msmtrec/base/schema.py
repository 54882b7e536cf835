"""What a data set is: features, tasks, scenarios. Frozen, serialisable, without any data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any, Literal

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace


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
    def nesting(self) -> tuple[int, ...]:
        """[T] number of the task that each lies within, -1 where it lies within none."""
        names = self.task_names
        return tuple(names.index(task.within) if task.within in names else -1 for task in self.tasks)

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


@dataclass(frozen=True)
class Difference:
    """The first in which two lists of features, or of tasks, differ.

    Args:
        kind: `lacking` in one of them; declared `otherwise`; another `order`.
        name: of what differs; "" of an order.
        first, second: it, where a list has it.
    """

    kind: Literal["lacking", "otherwise", "order"]
    name: str = ""
    first: Feature | Task | None = None
    second: Feature | Task | None = None


def difference(one: Sequence[Feature] | Sequence[Task], two: Sequence[Feature] | Sequence[Task]) -> Difference | None:
    """None where they are the same."""
    first: dict[str, Feature | Task] = {part.name: part for part in one}
    second: dict[str, Feature | Task] = {part.name: part for part in two}
    for name in dict.fromkeys((*first, *second)):
        a, b = first.get(name), second.get(name)
        if a != b:
            return Difference("lacking" if a is None or b is None else "otherwise", name, a, b)
    return Difference("order") if [*first] != [*second] else None
