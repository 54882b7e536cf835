"""What a data set is: features, tasks, scenarios. Frozen, serialisable, without any data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from msmtrec.errors import UserError

FIRST_ID = 2
"""Ids 0 and 1 of every categorical field are reserved."""
MISSING_ID = 0
"""The id of a missing value: it has a trained embedding of its own."""
UNKNOWN_ID = 1
"""The id of a value outside the vocabulary or the agreed id space."""
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
        kind: `categorical`, `numeric`, or `multi` (several values a row, mean-pooled).
        shared: the agreed id space, where scenarios have this field's values in common; None keeps the field private.
        log: numeric only: log(1 + x) before standardising (negative values are refused).
        max_values: multi only: how many values of a row are kept, in the order given.
        missing: numeric only: values may be missing, which a second column then says; False refuses missing values.
    """

    name: str
    kind: Literal["categorical", "numeric", "multi"] = "categorical"
    shared: IdSpace | None = None
    log: bool = False
    max_values: int = 1
    missing: bool = True

    def __post_init__(self) -> None:
        if self.kind == "numeric" and self.shared is not None:
            raise UserError(f"feature '{self.name}': a numeric feature has no ids to share; remove 'shared'")
        if self.kind != "multi" and self.max_values != 1:
            raise UserError(f"feature '{self.name}': max_values needs kind 'multi'")
        if self.max_values < 1:
            raise UserError(f"feature '{self.name}': max_values must be at least 1, not {self.max_values}")


@dataclass(frozen=True)
class Task:
    """One label to predict.

    Args:
        name: as shown in tables.
        column: label column with 0, 1 or missing (masked).
        within: the task whose positives contain this one's (CTCVR within CTR); checked on the data.
    """

    name: str
    column: str = ""
    within: str | None = None

    @property
    def label(self) -> str:
        return self.column or self.name


@dataclass(frozen=True)
class Schema:
    """A data set without its rows.

    Args:
        name: data set name.
        features: input fields, in model order.
        tasks: all tasks of any scenario, in table order.
        scenarios: scenario name -> names of the tasks it has.
        group: column that identifies the user or session (bootstrap, GAUC); None where there is none.
    """

    name: str
    features: tuple[Feature, ...]
    tasks: tuple[Task, ...]
    scenarios: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group: str | None = None

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
        labels = {task.label for task in self.tasks}
        for feature in self.features:
            if feature.name in labels:
                raise UserError(
                    f"data set '{self.name}': column '{feature.name}' is a label and also a feature (leakage);"
                    " remove it from the features"
                )

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    @property
    def numeric(self) -> tuple[Feature, ...]:
        return tuple(f for f in self.features if f.kind == "numeric")

    @property
    def categorical(self) -> tuple[Feature, ...]:
        """Categorical and multi-valued fields."""
        return tuple(f for f in self.features if f.kind != "numeric")

    def has_task(self, scenario: str) -> list[bool]:
        """[T] whether the scenario has each task."""
        return [name in self.scenarios[scenario] for name in self.task_names]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON and for the fingerprint."""
        return asdict(self)
