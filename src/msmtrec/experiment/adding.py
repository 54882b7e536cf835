"""A scenario joins a finished run: it starts from the kept servers and trains alone; nobody else is trained again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.settings import cache_directory
from msmtrec.config.contender import Contender
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.encoding.derived import raw_columns
from msmtrec.data.encoding.growing import check_same
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.table import EncodedData
from msmtrec.experiment.described import described
from msmtrec.experiment.encoders import keep_encoders, variant
from msmtrec.experiment.joining import join, untrained
from msmtrec.experiment.ledgers import keep_ledgers
from msmtrec.experiment.results import write_results
from msmtrec.experiment.start import Start
from msmtrec.record import directory
from msmtrec.record.results import Results
from msmtrec.record.summary import Finished, summarise
from msmtrec.serving.finished import Run

ADDED = "added.json"
"""What joined a run after its federation, a list."""


def add_scenarios(
    run: Path | str,
    logs: Logs | None = None,
    *,
    names: Sequence[str] = (),
    out: Path | str,
    contenders: Sequence[str] = (),
    rounds: int | None = None,
    status: Callable[[str], None] = lambda _: None,
    caution: Callable[[str], None] = lambda _: None,
) -> Run:
    """A new run directory: everything of the finished run but its pooled columns, and the new scenarios beside it.

    A new scenario downloads what the method welcomes a newcomer with, from the server of the best mean validation
    round, and trains from there by itself as long as its own validation AUC rises. Where it has no row to train on, or
    none to choose a round by, its model is that download.

    Args:
        logs: rows of the new scenarios, declared as the run's own.
        names: new scenarios without any row.
        out: directory to write.
        contenders: columns of the new table; default all but pooled ones.
        rounds: of local training, at most; default as many as the contender's federation had.

    Raises:
        UserError: a scenario is in the run already, the rows are declared otherwise, or a network has weights for each
            scenario.
    """
    start, folder = Start.open(Path(run)), Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; choose another --out")
    columns = _columns(start, contenders)
    kept = {name: start.settings(name) for name in columns}
    status("reading the logs")
    logs = replace(logs, joining=True) if logs else _without_rows(start, kept, names)
    taken = [name for name in logs.schema.scenarios if name in start.run.scenarios]
    if taken:
        raise UserError(
            f"{start.run.folder} has a scenario '{taken[0]}' already; msmtrec continue trains it on with newer rows"
        )
    kinds = dict.fromkeys(variant(contender) for contender in kept.values())
    for kind in kinds:
        check_same(start.some_encoder(kind).schema, logs.schema, next(iter(logs.schema.scenarios)))
    variants = {kind: Variant(share=kind == "shared") for kind in kinds}
    data = encode_all(logs, variants, cache=cache_directory())
    some = next(iter(data.values()))
    _check_statistics(kept, some)
    notes = [sentence for _, sentence in untrained(some)]
    for sentence in notes:
        caution(sentence)
    joined = ", ".join(some.scenarios)
    notes.insert(0, f"joined after the rounds of {start.run.folder}, whose scenarios stay as they were: {joined}")
    with (
        directory.writing(folder, "free space, or choose another --out"),
        _appearing(folder) as new,
        TemporaryDirectory(prefix="msmtrec-") as temporary,
    ):
        places = {column: Path(temporary) / column for column in columns}
        for column, contender in kept.items():
            status(column)
            join(start, column, contender, data[variant(contender)], rounds, places[column])
        _copy(start, columns, kinds, new)
        keep_encoders(new, data)
        keep_ledgers(new, data, kept.values(), start)
        for column, place in places.items():
            _append(directory.contender_folder(new, column, start.run.results.chosen.get(column, "")), place)
        _describe(new, start, data)
        results = _results(start, kept, new, notes)
        write_results(new, results)
    return Run(folder, results)


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder that becomes the one that is asked for when everything is in it."""
    new = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    new.mkdir(parents=True)
    try:
        yield new
        if folder.exists():
            folder.rmdir()
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _columns(start: Start, wanted: Sequence[str]) -> list[str]:
    """Columns of the new table, in the order of the old one."""
    known = [name for name in start.run.contenders if _may_be_joined(start.settings(name))]
    for name in wanted:
        if name not in known:
            raise UserError(f"{start.run.folder} has no contender '{name}' that can be joined; {nearest(name, known)}")
    return [name for name in known if not wanted or name in wanted]


def _may_be_joined(contender: Contender) -> bool:
    """A pooled model has all rows in one place; of `bias` and of trees nothing is kept that a newcomer begins with."""
    entry = contender.entry
    return not (entry.pooled or entry.boosted or (entry.alone and contender.statistics is None))


def _check_statistics(kept: Mapping[str, Contender], data: EncodedData) -> None:
    """A linear head is fitted before anything else: to whose rows, where there are none?"""
    for column, contender in kept.items():
        for name, table in data.tables.items():
            labels = table.splits["train"].labels
            lacking = [task for task, own in zip(data.layout.tasks, labels.T, strict=True) if np.isnan(own).all()]
            wanted = [task for task, has in zip(data.layout.tasks, data.schema.has_task(name), strict=True) if has]
            if contender.statistics is not None and (missing := sorted({*lacking} & {*wanted})):
                raise UserError(
                    f"scenario '{name}' has no labelled training row of {', '.join(missing)}, and {column} fits a"
                    " linear head on them; give it labelled rows, or name contenders without statistics: --contender"
                )


def _without_rows(start: Start, kept: Mapping[str, Contender], names: Sequence[str]) -> Logs:
    """Logs of scenarios that have none yet; they have every task."""
    if not names:
        raise UserError("name the scenario that joins, or give its rows: --data FILE")
    schema = start.some_encoder(variant(next(iter(kept.values())))).schema
    lists = {column for feature in schema.features if feature.has_lists for column in feature.columns}
    kinds: dict[str, Any] = {c: pl.List(pl.String) if c in lists else pl.Null for c in raw_columns(schema)}
    kinds |= {task.label: pl.Null for task in schema.tasks} | {SPLIT: pl.String}
    for column in (schema.group, schema.weight):
        if column is not None:
            kinds.setdefault(column, pl.Null)
    return Logs(
        replace(schema, scenarios=dict.fromkeys(names, schema.task_names)),
        in_memory({name: pl.DataFrame(schema=kinds) for name in names}),
        fingerprint=f"no rows of {json.dumps(list(names))}",
        origin="no logs",
        joining=True,
    )


def _copy(start: Start, columns: Sequence[str], kinds: Iterable[str], folder: Path) -> None:
    """What the new table needs of the finished run."""
    run = start.run.folder
    for name in (directory.CONFIG, directory.ENVIRONMENT):
        shutil.copyfile(run / name, folder / name)
    candidates = directory.read_json(run / directory.CANDIDATES)
    directory.write_json(folder / directory.CANDIDATES, {name: candidates[name] for name in columns})
    trainings = (start.settings(name).name for name in columns)  # they have the servers
    parts = [f"contenders/{name}" for name in dict.fromkeys((*columns, *trainings))]
    ledgers = (f"{directory.LEDGERS}/{kind}" for kind in kinds if (run / directory.LEDGERS / kind).exists())
    for part in (*(f"{directory.ENCODERS}/{kind}" for kind in kinds), *ledgers, *parts):
        shutil.copytree(run / part, folder / part)


def _append(place: Path, found: Path) -> None:
    """The new scenarios' models and figures beside the others' of a column."""
    for source in (found / "models").iterdir():
        shutil.move(source, place / "models" / source.name)
    for name in (directory.VALIDATION, directory.TEST):
        directory.write_json(place / name, [*directory.read_json(place / name), *directory.read_json(found / name)])
    for name in (directory.SCORES, directory.VALIDATION_SCORES):
        if (place / name).exists():  # an early run has no scores of validation rows
            with np.load(place / name) as before, np.load(found / name) as new:
                arrays = {**new, **before}
            np.savez(place / name, **arrays)
    with (place / "metrics.jsonl").open("a", encoding="utf-8") as lines:
        lines.write((found / "metrics.jsonl").read_text(encoding="utf-8"))


def _describe(folder: Path, start: Start, data: Mapping[str, EncodedData]) -> None:
    """data.json with the new scenarios, whose rows are now part of what the run is about; and what joined."""
    known = directory.read_json(start.run.folder / directory.DATA)
    known.pop("pooled", None)
    for kind, held in known.items():
        if kind in data:
            held["scenarios"] |= {name: described(table) for name, table in data[kind].tables.items()}
            whole = json.dumps([held["fingerprint"], data[kind].fingerprint])
            held["fingerprint"] = sha256(whole.encode()).hexdigest()
    directory.write_json(folder / directory.DATA, known)
    before = start.run.folder / ADDED
    some = next(iter(data.values()))
    entry = {"from": str(start.run.folder.absolute()), "scenarios": list(some.scenarios), "origin": some.origin}
    directory.write_json(folder / ADDED, [*(directory.read_json(before) if before.exists() else []), entry])


def _results(start: Start, kept: Mapping[str, Contender], folder: Path, notes: Sequence[str]) -> Results:
    before = start.run.results
    chosen = {name: before.chosen.get(name, "") for name in kept}
    found = {
        name: Finished(directory.contender_folder(folder, name, chosen[name]), chosen[name], contender.kind)
        for name, contender in kept.items()
    }
    tasks = start.some_encoder(variant(next(iter(kept.values())))).schema.task_names
    return summarise(before.name, found, tasks, (*before.notes, *notes), before.unit)
