"""Raw impression logs of all scenarios, as a source hands them over: a stream of chunks that can be read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from itertools import chain

import polars as pl

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema
from msmtrec.base.sentences import one_of
from msmtrec.data.asked import Asked
from msmtrec.data.snapshot import Snapshot

SPLITS = ("train", "validation", "test")
SPLIT = "__split"
"""Column every source adds: one of SPLITS for each row."""
FEW = "__few"
"""Column that a source may add: whether a row trains only because its group, such as a user, has too few to divide."""
POOLED = "pooled"
"""Name of the one scenario that holds everybody's rows."""
SCENARIO_FIELD = "__scenario"
"""Column that a pooled table has beside those of its scenarios: where a row is from."""
CROSSED = "_x_"
"""Between the names of the features that a cross is of."""
CHUNK = 131_072
"""Rows that are in memory at a time. Sums depend on it in the last bit, so it is the same everywhere."""

Chunk = tuple[str, pl.DataFrame]
"""(scenario, some of its rows in log order)"""
Stream = Callable[[], Iterator[Chunk]]
"""Every call goes through all rows once more, in the same chunks."""


@dataclass(frozen=True)
class Logs:
    """Rows before encoding.

    Args:
        schema: what the rows mean; `schema.scenarios` names the scenarios in table order.
        stream: all rows, with the feature, label and group columns and SPLIT.
        fingerprint: over the source files and everything that decides the rows.
        origin: where the rows came from, for people and error messages.
        notes: decisions a reader should know (rows dropped, values cut).
        warnings: what looks wrong in the rows, though it can be meant.
        allow_one_class: accept splits in which a task has one class only (its AUC is then missing).
        files: the source files as they were when the fingerprint was taken.
        parts: the scenarios whose rows a pooled table holds, in table order (its rows are by name); empty where every
            scenario has its own table.
        places: scenario -> its own files, for error messages, where it has any.
        joining: the scenarios join a finished federation, whose models do without their rows: any split may lack rows
            or classes.
        as_written: rows as the files hold them, words for nothing and all, in chunks of some of the columns; None where
            no such words are looked for.
        time: a column that the chunks carry beside the others, for the profile only: numbers or date-times.
        asked: the split that was asked for, of logs that are the user's own.
        among: all scenarios of the federation, where others have the rest of them; empty where all are here.
        parsed: every call of `stream` reads text, which costs more than to keep its rows on disk for a second pass.
    """

    schema: Schema
    stream: Stream
    fingerprint: str
    origin: str
    _: KW_ONLY
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    allow_one_class: bool = False
    files: Snapshot = field(default_factory=Snapshot)
    parts: tuple[str, ...] = ()
    joining: bool = False
    time: str | None = None
    as_written: Callable[[], Iterator[pl.DataFrame]] | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    asked: Asked | None = None
    parsed: bool = False
    among: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.schema.scenarios:
            raise UserError(f"{self.origin}: no scenario has any rows; check the scenario column and the split")

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Table -> the scenarios whose rows it holds, in order."""
        return {POOLED: self.parts} if self.parts else {name: (name,) for name in self.schema.scenarios}

    def where(self, scenario: str) -> str:
        """What to name in a message about its rows."""
        return self.places.get(scenario, self.origin)

    def frame(self, scenario: str) -> pl.DataFrame:
        """All rows of one scenario, in memory."""
        return pl.concat([rows for name, rows in self.stream() if name == scenario], how="vertical_relaxed")

    def only(self, names: Sequence[str], among: Sequence[str]) -> Logs:
        """The rows of some of the scenarios, in table order. among: all scenarios of the federation.

        Raises:
            UserError: there is no such scenario.
        """
        for name in names:
            one_of(name, tuple(self.schema.scenarios), "scenario")
        held = {name: tasks for name, tasks in self.schema.scenarios.items() if name in names}
        return replace(
            self,
            schema=replace(self.schema, scenarios=held),
            stream=lambda: ((name, rows) for name, rows in self.stream() if name in held),
            fingerprint=f"{self.fingerprint}:only {[*held]} of {[*among]}",
            among=tuple(among),
        )

    def without(self, names: Sequence[str]) -> Logs:
        """The same rows without some features; what else needs a column (users of tests, time) keeps it.

        Raises:
            UserError: a name is no feature, or no feature is left.
        """
        if not names:
            return self
        features = self.schema.features
        for name in names:
            one_of(name, [f.name for f in features], "data.leave_out")
        left = tuple(f for f in features if f.name not in names)
        if not left:
            raise UserError("data.leave_out names all features; leave one")
        given = tuple(dict.fromkeys(names))
        gone = {*names} - {self.schema.group, self.time}
        return replace(
            self,
            schema=replace(self.schema, name=f"{self.schema.name} without {'/'.join(given)}", features=left),
            stream=lambda: ((name, rows.drop(gone, strict=False)) for name, rows in self.stream()),
            fingerprint=f"{self.fingerprint}:without {sorted({*names})}",
            notes=(*self.notes, f"features left out: {', '.join(given)}"),
        )

    def crossed(self, crosses: Sequence[tuple[str, ...]], buckets: int) -> Logs:
        """The same rows with features whose value is that of several others together (`Feature.cross`).

        Args:
            buckets: of the common id space of a cross all of whose parts are shared; others are private.

        Raises:
            UserError: a part is no feature, or has not one id a row.
        """
        if not crosses:
            return self
        known = {f.name: f for f in self.schema.features}
        single = [name for name, f in known.items() if f.kind == "categorical"]
        for name in chain(*crosses):
            if name not in known:
                raise UserError(f"data.crosses: there is no feature '{name}'; {nearest(name, single)}")
            if name not in single:
                raise UserError(
                    f"data.crosses: '{name}' is a {known[name].kind} feature, and a cross is of features with one id a"
                    f" row: {', '.join(single)}"
                )
        common = IdSpace("hash", buckets)
        made = [
            Feature(CROSSED.join(parts), shared=common if all(known[p].shared for p in parts) else None, cross=parts)
            for parts in crosses
        ]
        names = ", ".join(f.name for f in made)
        return replace(
            self,
            schema=replace(self.schema, name=f"{self.schema.name} with {names}", features=(*known.values(), *made)),
            fingerprint=f"{self.fingerprint}:crossed {[*crosses]} {buckets}",
            notes=(*self.notes, f"features crossed: {names}"),
        )

    def pooled(self) -> Logs:
        """All rows as one scenario, with the scenario's name as a feature: what the privacy constraint costs.

        Whoever may see all rows still cannot tell which private ids mean the same: user 7 of one scenario is not user 7
        of another. Private fields therefore keep their values apart, and a hashed one has all scenarios' buckets.
        Fields in a common id space have one vocabulary, and numerics one scaler, of all training rows.
        """
        schema, mark = self.schema, self.marker()
        names = tuple(schema.scenarios)

        def stream() -> Iterator[Chunk]:
            for name, rows in self.stream():
                yield name, mark(name, rows)

        features = [
            replace(f, hash=f.hash * len(names)) if f.hash is not None and f.shared is None else f
            for f in schema.features
        ]
        pooled = replace(schema, features=(*features, Feature(SCENARIO_FIELD)), scenarios={POOLED: schema.task_names})
        return replace(self, schema=pooled, stream=stream, parts=names)

    def marker(self) -> Callable[[str, pl.DataFrame], pl.DataFrame]:
        """What makes a scenario's rows rows of the pooled table: empty labels of tasks it lacks.

        Its name, and private values marked with it, are made when rows are encoded (`encoding.derived`).
        """
        tasks = self.schema.tasks
        added = {
            name: [pl.lit(None, dtype=pl.Int8).alias(task.label) for task in tasks if task.name not in held]
            for name, held in self.schema.scenarios.items()
        }
        return lambda name, rows: rows.with_columns(added[name])


def in_memory(frames: Mapping[str, pl.DataFrame]) -> Stream:
    """A stream over frames that are small enough to hold; a scenario without rows has one empty chunk."""

    def stream() -> Iterator[Chunk]:
        for name, frame in frames.items():
            for start in range(0, max(frame.height, 1), CHUNK):
                yield name, frame.slice(start, CHUNK)

    return stream
