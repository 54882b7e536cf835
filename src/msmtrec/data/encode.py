"""Raw rows in, encoded tables out, in two passes over the logs: vocabularies and scalers, then the rows themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from msmtrec.base.schema import Schema
from msmtrec.data.encoding.checks import check
from msmtrec.data.encoding.counting import Counting, columns_read
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.extremes import as_plain, odd_values
from msmtrec.data.encoding.layout import make_layout
from msmtrec.data.encoding.survey import Survey, Surveyor
from msmtrec.data.encoding.writer import TableWriter
from msmtrec.data.findings.collected import Collected, between
from msmtrec.data.findings.constants import makes_scenarios
from msmtrec.data.findings.finding import Finding
from msmtrec.data.kept import Kept
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.data.table import EncodedData, arrays_of, open_encoded, row_bytes, scenarios_of

ENCODING = 12
"""Version of the encoded form; part of the cache key."""


@dataclass(frozen=True)
class Variant:
    """One way to see the rows.

    Args:
        share: put the fields that declare a shared id space into it; otherwise they are private like all others.
        pooled: all rows in one table.
    """

    share: bool = False
    pooled: bool = False


def encode(logs: Logs, *, share: bool, cache: Path | None = None) -> EncodedData:
    """Encode every scenario by itself; arguments and errors as `encode_all`."""
    return encode_all(logs, {"": Variant(share)}, cache=cache)[""]


def encode_all(
    logs: Logs,
    variants: Mapping[str, Variant],
    *,
    cache: Path | None = None,
    before: Mapping[str, Mapping[str, Encoder]] | None = None,
) -> dict[str, EncodedData]:
    """Encode every scenario by itself, in several variants. Those that the cache lacks take the same two passes.

    Args:
        logs: raw rows.
        cache: folder for memory-mapped tables, or None to keep them in memory.
        before: variant -> table -> encoder of the models that training goes on with.

    Raises:
        UserError: a column is missing, a label is not 0/1, a numeric is NaN or infinite, a split lacks rows or classes;
            the files change meanwhile; the cache cannot be written; an encoder before has other features or tasks.
    """
    builds = {
        name: _Build(logs.pooled() if v.pooled else logs, v.share, cache, (before or {}).get(name, {}))
        for name, v in variants.items()
    }
    missing = [name for name, build in builds.items() if not build.open()]
    views = []
    for pooled in (False, True):
        if fresh := [builds[name] for name in missing if variants[name].pooled is pooled]:
            views.append(_View(fresh, logs.marker() if pooled else _as_it_is))
    if views:
        _run(logs, views, cache if logs.parsed else None)
    return {name: build.result for name, build in builds.items()}


def _run(logs: Logs, views: list[_View], folder: Path | None) -> None:
    """Both passes; the second one over what the first one has kept in the folder, where there is one with room."""
    with ExitStack() as opened:
        kept = None
        if folder is not None:
            beside = sum(build.row_bytes() for view in views for build in view.builds)
            columns = [*columns_read(logs.schema), SPLIT, *([logs.time] if logs.time else [])]
            kept = opened.enter_context(Kept(folder, columns, beside))
        for scenario, rows in kept.keeping(logs.stream()) if kept else logs.stream():
            for view in views:
                view.survey(scenario, rows)
        for view in views:
            view.start(opened)
        for scenario, rows in kept.again() if kept and kept.whole else logs.stream():
            for view in views:
                view.encode(scenario, rows)
        logs.files.check()
        for view in views:
            for build in view.builds:
                build.finish()


_Mark = Callable[[str, pl.DataFrame], pl.DataFrame]


def _as_it_is(_scenario: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows


class _View:
    """Variants that see the same rows, in the same tables, and share their survey."""

    def __init__(self, builds: list[_Build], mark: _Mark) -> None:
        self.builds, self.mark = builds, mark
        self.surveyor = Surveyor(builds[0].logs, share=all(build.share for build in builds))

    def survey(self, scenario: str, rows: pl.DataFrame) -> None:
        self.surveyor.add(scenario, self.mark(scenario, rows))

    def start(self, writers: ExitStack) -> None:
        """Between the passes."""
        for table, known in self.surveyor.found.items():
            check(self.builds[0].logs, table, known)
        for build in self.builds:
            build.start(self.surveyor.found, writers)

    def encode(self, scenario: str, rows: pl.DataFrame) -> None:
        rows = self.mark(scenario, rows)
        for build in self.builds:
            build.add(scenario, rows)


class _Build:
    """One variant, from the survey to the finished tables."""

    writer: TableWriter
    tables: dict[str, Counting]
    odd: dict[str, list[dict[str, Any]]]
    few: dict[str, dict[str, int]]
    findings: dict[str, Collected]
    between: dict[str, list[Finding]]
    result: EncodedData

    def __init__(self, logs: Logs, share: bool, cache: Path | None, before: Mapping[str, Encoder]) -> None:
        self.logs, self.share, self.before = logs, share, before
        key = [ENCODING, logs.fingerprint, logs.schema.as_dict(), share, logs.allow_one_class, logs.parts]
        if logs.joining:
            key.append("joining")
        if before:
            key.append({table: [encoder.table, encoder.fingerprint] for table, encoder in before.items()})
        self.fingerprint = sha256(json.dumps(key, sort_keys=True, default=list).encode()).hexdigest()
        self.folder = cache / self.fingerprint[:24] if cache is not None else None
        self.owner = {part: table for table, parts in logs.tables().items() for part in parts}

    def open(self) -> bool:
        """Whether the cache has it."""
        if self.folder is None:
            return False
        found = open_encoded(self.logs.schema, self.fingerprint, self.logs.origin, self.folder)
        if found is not None:
            self.result = found
        return found is not None

    def row_bytes(self) -> int:
        """What a row takes in the cache."""
        names = tuple(part for parts in self.logs.tables().values() for part in parts)
        return row_bytes(make_layout(self.logs.schema, share=self.share, scenarios=names), arrays_of(self.logs.schema))

    def start(self, surveys: Mapping[str, Survey], writers: ExitStack) -> None:
        schema = self.logs.schema
        rows = {table: known.rows for table, known in surveys.items()}
        layout = make_layout(schema, share=self.share, scenarios=self.logs.among or scenarios_of(rows))
        self.odd = {table: _odd(schema, known) for table, known in surveys.items()}
        self.few = {table: known.few for table, known in surveys.items()}
        self.tables = {
            table: Counting(
                Encoder.fit(schema, layout, table, known, self.fingerprint, self.before.get(table)), self.logs.time
            )
            for table, known in surveys.items()
        }
        encoders = {table: own.encoder for table, own in self.tables.items()}
        own = {} if self.logs.parts else encoders  # of pooled rows everything is said scenario by scenario
        self.findings = {table: Collected(encoder, surveys[table]) for table, encoder in own.items()}
        self.between = {table: [] for table in surveys}
        for found in between(schema, surveys, own):
            self.between[found.scenario].append(found)
        self.writer = writers.enter_context(TableWriter(self.folder, layout, rows, arrays_of(schema)))

    def add(self, scenario: str, rows: pl.DataFrame) -> None:
        table = self.owner[scenario]
        for split, encoded, raw in self.tables[table].encode(rows, scenario):
            if table in self.findings:
                self.findings[table].add(encoded, split, raw)
            self.writer.add(table, scenario, split, encoded)

    def finish(self) -> None:
        encoders = {table: own.encoder for table, own in self.tables.items()}
        described = {
            table: (encoders[table].private_rows, own.encoding() | self._told(table))
            for table, own in self.tables.items()
        }
        logs = self.logs
        self.result = self.writer.finish(
            logs.schema, self.fingerprint, logs.origin, described, encoders, ordered=logs.time is not None
        )

    def _told(self, table: str) -> dict[str, Any]:
        """Odd numbers and other findings; where both would say one thing of a column, one of them."""
        found = [*self.between[table], *(self.findings[table].found() if table in self.findings else ())]
        sentinels = {own.column for own in found if own.kind == "sentinel"}
        odd = [own for own in self.odd[table] if own["kind"] != "alone" or own["column"] not in sentinels]
        varying = {own["column"] for own in odd if own["kind"] == "constant"}
        found = [own for own in found if own.kind not in ("constant", "missing") or own.column not in varying]
        encoders = [own.encoder for own in self.tables.values()]
        found = [own for own in found if own.kind != "constant" or not makes_scenarios(own.column, encoders)]
        asked = asdict(self.logs.asked) if self.logs.asked else None
        told = [own.as_dict() for own in found]
        return {"odd": odd, "findings": told, "asked": asked, "few": self.few[table]}


def _odd(schema: Schema, survey: Survey) -> list[dict[str, Any]]:
    columns = ((feature, survey.numeric[feature.name]) for feature in schema.numeric)
    odd = [odd for f, column in columns for odd in odd_values(f, column.fit.scaler(), column.ends)]
    return as_plain([*odd, *(odd for f in schema.vectors for odd in survey.vectors[f.name].odd_values(f))])
