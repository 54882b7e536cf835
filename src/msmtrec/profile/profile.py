"""Two passes over the logs: counts and values of training rows, then what those make of all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from hashlib import sha256

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import derive
from msmtrec.data.findings.finding import Finding
from msmtrec.data.findings.times import Span
from msmtrec.data.logs import SPLIT, Chunk, Logs
from msmtrec.profile.apart import MANY, SCENARIOS, Apart, tell_apart
from msmtrec.profile.axis import Axis, axis
from msmtrec.profile.describe import leaking
from msmtrec.profile.drift import Pool, Shift, over_time
from msmtrec.profile.duplicates import KeyCounts, Repeated
from msmtrec.profile.emptiness import Filled
from msmtrec.profile.hashes import Bound
from msmtrec.profile.norms import with_norms
from msmtrec.profile.rows import ScenarioRows
from msmtrec.profile.sample import Sample
from msmtrec.profile.vocabulary import HELD_OUT, Distinct, Vocabulary, overlap

SHOWN = 30
"""The largest scenarios are compared with each other; of all others only rows and label rates are shown."""
COMPARED = 50
"""Distinct values of a field, in all scenarios together, from which it is worth an overlap."""
Progress = Callable[[str, int], None]
"""Called with the step and the rows done so far."""


@dataclass(frozen=True)
class Overlap:
    """One field's training values in the shown scenarios.

    Args:
        matrix: [S, S] |row ∩ column| / |row|.
        exact: no sampling of values was needed.
    """

    field: str
    matrix: NDArray[np.float64]
    exact: bool


@dataclass(frozen=True)
class Profile:
    """What two passes over the logs found.

    Args:
        schema, origin, notes: of the logs; fingerprint: a digest of theirs.
        shown: the largest scenarios, in table order; everything but `rows` is about them.
        axis: time, or the order of the log.
        rows: scenario -> counts, for all scenarios.
        fields: categorical field (and the group) -> its vocabularies.
        overlaps: fields with many values, the group first.
        item: the field that repeated pairs are counted with; None without a group.
        repeats: kind of key -> scenario -> repetitions; kinds are `rows`, `features`, `pairs`.
        between: scenario -> feature -> shift against all others; over_time: training against test rows.
        sampled: rows that drift, separability and leakage were computed from.
        filled: scenario -> feature -> how much it says.
        leaks: sentences.
        told: what was found while the rows were encoded, and is told wherever they are used.
    """

    schema: Schema
    origin: str
    fingerprint: str
    notes: tuple[str, ...]
    _: KW_ONLY
    shown: tuple[str, ...]
    axis: Axis
    rows: dict[str, ScenarioRows]
    fields: dict[str, Vocabulary]
    overlaps: tuple[Overlap, ...]
    item: str | None
    repeats: dict[str, dict[str, Repeated]]
    between: dict[str, dict[str, Shift]]
    over_time: dict[str, dict[str, Shift]]
    apart: Apart
    sampled: int
    filled: dict[str, dict[str, Filled]]
    leaks: tuple[str, ...]
    told: tuple[Finding, ...] = ()

    @property
    def total(self) -> int:
        """Rows of all scenarios."""
        return sum(counts.total for counts in self.rows.values())


def profile(logs: Logs, progress: Progress = lambda step, rows: None, *, told: Iterable[Finding] = ()) -> Profile:
    """Read the logs twice; memory is bounded by the numbers of scenarios and fields, not by the rows."""
    logs = with_norms(logs)
    schema = logs.schema
    first = _FirstPass(logs)
    for scenario, rows in _counted(logs, "counting", progress):
        first.add(scenario, rows)
    ordered = sorted(first.rows, key=lambda name: -first.rows[name].total)[:SHOWN]
    shown = tuple(name for name in first.rows if name in ordered)
    second = _SecondPass(logs, first, shown)
    for scenario, rows in _counted(logs, "comparing", progress):
        second.add(scenario, rows)
    logs.files.check()
    samples = second.sample.frames()
    progress("telling scenarios apart", sum(rows.height for rows in samples.values()))
    return Profile(
        schema,
        logs.origin,
        sha256(logs.fingerprint.encode()).hexdigest(),
        logs.notes,
        shown=shown,
        axis=second.axis,
        rows=first.rows,
        fields=first.fields,
        overlaps=tuple(_overlaps(first.fields, schema, shown)),
        item=second.item,
        repeats={kind: {name: counts.of(name) for name in shown} for kind, counts in second.keys.items()},
        between=_between(schema, samples, first.rows, shown),
        over_time={name: _over_time(schema, samples[name]) for name in shown},
        apart=_apart(schema, first.fields, samples, first.rows, shown),
        sampled=sum(rows.height for rows in samples.values()),
        filled=first.filled,
        leaks=tuple(sentence for name in shown for sentence in _leaks(schema, name, samples[name])),
        told=tuple(told),
    )


def _counted(logs: Logs, step: str, progress: Progress) -> Iterator[Chunk]:
    done = 0
    for scenario, rows in logs.stream():
        yield scenario, derive(logs.schema, rows, scenario)
        done += rows.height
        progress(step, done)


class _FirstPass:
    def __init__(self, logs: Logs) -> None:
        schema = logs.schema
        columns = {task.name: task.label for task in schema.tasks}
        self.rows = {
            name: ScenarioRows({task: columns[task] for task in tasks}) for name, tasks in schema.scenarios.items()
        }
        group = [Feature(schema.group)] if schema.group else []
        fields = {feature.name: feature for feature in (*group, *schema.categorical)}
        self.fields = {name: Vocabulary(feature, Distinct(Bound())) for name, feature in fields.items()}
        self.filled = {name: {feature.name: Filled() for feature in schema.features} for name in schema.scenarios}
        self.features = schema.features
        self.time, self.span = logs.time, Span()

    def add(self, scenario: str, rows: pl.DataFrame) -> None:
        self.rows[scenario].count(rows)
        train = rows.filter(pl.col(SPLIT) == "train")
        for field in self.fields.values():
            field.learn(scenario, train)
        for feature in self.features:
            self.filled[scenario][feature.name].add(rows, feature)
        if self.time:
            self.span.add(rows[self.time])


class _SecondPass:
    def __init__(self, logs: Logs, first: _FirstPass, shown: tuple[str, ...]) -> None:
        schema = logs.schema
        self.first, self.shown = first, set(shown)
        self.axis = axis(logs.time, first.span)
        names, labels = [f.name for f in schema.features], [task.label for task in schema.tasks]
        columns = list(dict.fromkeys([*names, *labels, *([schema.group] if schema.group else [])]))
        self.sample = Sample({name: counts.rows for name, counts in first.rows.items()}, shown, columns)
        self.item = _item(schema, first.fields)
        time = [logs.time] if logs.time else []
        group = [schema.group] if schema.group and schema.group not in names else []
        kinds = {"rows": [*names, *group, *labels, *time], "features": [*names, *group]}
        if schema.group and self.item:
            kinds["pairs"] = [schema.group, self.item]
        self.keys = {
            kind: KeyCounts(list(dict.fromkeys(keys)), [] if kind == "rows" else labels, Bound())
            for kind, keys in kinds.items()
        }
        self._place = dict.fromkeys(first.rows, 0)
        self._labels = {
            name: [task.label for task in schema.tasks if task.name in tasks]
            for name, tasks in schema.scenarios.items()
        }
        self._all_labels = labels

    def add(self, scenario: str, rows: pl.DataFrame) -> None:
        absent = [name for name in self._all_labels if name not in self._labels[scenario]]
        rows = rows.with_columns(pl.lit(None, pl.Int8).alias(name) for name in absent)
        for (split,), part in rows.partition_by(SPLIT, as_dict=True, maintain_order=True).items():
            self.sample.add(scenario, str(split), part)
        if scenario not in self.shown:
            return
        counts = self.first.rows[scenario]
        bins = self.axis.of(rows, self._place[scenario], counts.total)
        self._place[scenario] += rows.height
        counts.place(rows, bins, self.axis.bins)
        for keys in self.keys.values():
            keys.add(scenario, rows)
        held = rows.with_columns(pl.Series("\0bin", bins)).filter(pl.col(SPLIT).is_in(HELD_OUT))
        for field in self.first.fields.values():
            field.ask(scenario, held, held["\0bin"], self.axis.bins)


def _size(field: Vocabulary) -> float:
    return len(field.distinct.union()) * field.distinct.bound.scale


def _item(schema: Schema, fields: dict[str, Vocabulary]) -> str | None:
    """The categorical feature with the most values besides the group: what a user is shown."""
    single = {f.name: _size(fields[f.name]) for f in schema.categorical if not f.has_lists and f.name != schema.group}
    return max(single, key=lambda name: single[name], default=None)


def _overlaps(fields: dict[str, Vocabulary], schema: Schema, shown: tuple[str, ...]) -> Iterator[Overlap]:
    sizes = {name: _size(field) for name, field in fields.items()}
    worth = [name for name, size in sizes.items() if name == schema.group or size >= COMPARED]
    for name in sorted(worth, key=lambda name: (name != schema.group, -sizes[name])):
        distinct = fields[name].distinct
        yield Overlap(name, overlap(distinct, shown), distinct.bound.exact)


def _train(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col(SPLIT) == "train")


def _between(
    schema: Schema, samples: dict[str, pl.DataFrame], rows: dict[str, ScenarioRows], shown: tuple[str, ...]
) -> dict[str, dict[str, Shift]]:
    parts = {name: (_train(frame), rows[name].rows["train"]) for name, frame in samples.items()}
    found: dict[str, dict[str, Shift]] = {name: {} for name in shown} if len(parts) > 1 else {}
    for feature in _compared(schema) if found else ():
        pool = Pool(feature, parts)
        for name in shown:
            found[name][feature.name] = pool.against_others(name)
    return found


def _over_time(schema: Schema, rows: pl.DataFrame) -> dict[str, Shift]:
    test = rows.filter(pl.col(SPLIT) == "test")
    return {feature.name: over_time(feature, _train(rows), test) for feature in _compared(schema)}


def _compared(schema: Schema) -> tuple[Feature, ...]:
    """Features whose distribution is compared: all but the group, of which only the overlap says something."""
    return tuple(feature for feature in schema.features if feature.name != schema.group)


def _apart(
    schema: Schema,
    fields: dict[str, Vocabulary],
    samples: dict[str, pl.DataFrame],
    rows: dict[str, ScenarioRows],
    shown: tuple[str, ...],
) -> Apart:
    largest = sorted(shown, key=lambda name: -rows[name].total)[:SCENARIOS]
    many = {name for name, field in fields.items() if name == schema.group or _size(field) > MANY}
    used = tuple(feature for feature in schema.features if feature.name not in many)
    left_out = tuple(feature.name for feature in schema.features if feature.name in many)
    return tell_apart({name: _train(samples[name]) for name in shown if name in largest}, used, left_out, schema.group)


def _leaks(schema: Schema, scenario: str, rows: pl.DataFrame) -> Iterator[str]:
    return leaking(schema, scenario, _train(rows), rows.filter(pl.col(SPLIT) == "validation"))
