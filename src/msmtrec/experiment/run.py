"""One experiment: config in, run directory out. The public Python entry is `run`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from msmtrec.base.errors import Caution, UserError
from msmtrec.base.settings import cache_directory
from msmtrec.base.version import __version__
from msmtrec.config.agreed import Agreed
from msmtrec.config.cautions import cautions
from msmtrec.config.contender import Contender
from msmtrec.config.parse import Config, load_config, parse_config
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.logs import Logs
from msmtrec.data.table import EncodedData
from msmtrec.experiment.choice import REFERENCE, Chosen, Training, check_goes_on, choose, lost, outcome
from msmtrec.experiment.described import describe, environment, unit_of, without_group
from msmtrec.experiment.devices import automatic
from msmtrec.experiment.encoders import keep_encoders
from msmtrec.experiment.encoders import variant as _variant
from msmtrec.experiment.keeping import keep_scores
from msmtrec.experiment.ledgers import keep_ledgers
from msmtrec.experiment.processes import ContenderTask, refuse_within_import, run_tasks
from msmtrec.experiment.results import write_results
from msmtrec.experiment.start import Start
from msmtrec.logs.reading.words import unmet
from msmtrec.record import directory
from msmtrec.record.declared import Ablation
from msmtrec.record.events import (
    ContenderFinished,
    Note,
    Observer,
    Phase,
    RunFinished,
    RunStarted,
    RunStopped,
    ignore,
)
from msmtrec.record.lock import locked
from msmtrec.record.results import Results
from msmtrec.record.summary import Finished, summarise
from msmtrec.runtime.threads import threads_set
from msmtrec.serving.finished import Run


def run(
    config: Config | Path | str | dict[str, Any],
    *,
    out: Path | str | None = None,
    resume: bool = False,
    observer: Observer = ignore,
    cache: bool = True,
    caution: Callable[[str], None] = lambda text: warnings.warn(text, Caution, stacklevel=4),
) -> Run:
    """Train every contender of a config on every seed, choose on validation, read the test rows once, compare.

    Args:
        config: a Config, a YAML file, or a mapping of the same form.
        out: run directory; default runs/<name>.
        resume: continue an interrupted run of the same config.
        observer: takes every event of the run (`record.events`), in this process; what it raises ends the run.
        cache: keep the encoded rows for the next run on the same logs; else they stay in memory and go.
        caution: takes a sentence about settings that mean less than they seem to, or about a candidate whose training
            diverged; they are events and in the report too.

    Raises:
        UserError: anything the user can repair.
    """
    refuse_within_import()

    def note(text: str) -> None:
        observer(Note(text=text))
        caution(text)

    with stop_told(observer):
        config = _resolve(config)
        folder = Path(out) if out is not None else Path("runs") / config.name
        directory.open_run(folder, config.as_dict(), resume=resume)
    with stop_told(observer), locked(folder), directory.discarded_if_empty(folder):
        observer(run_started(config, config.jobs, folder, resume))
        observer(Phase(phase="reading the logs"))
        logs = config.load()
        start = Start.open(config.start) if config.start else None
        data = encoded(config, logs, start, cache_directory() if cache else None)
        describe(folder, data, logs.notes)
        keep_encoders(folder, data)
        threads, device = settle(folder, config)
        directory.write_json(folder / directory.ENVIRONMENT, environment(config.jobs, threads, device))
        directory.write_json(folder / directory.CANDIDATES, candidates_of(config.contenders))
        tasks = [
            ContenderTask(
                on_device(contender, device),
                data[_variant(contender)],
                config.seeds,
                directory.contender_folder(folder, contender.name, contender.candidate),
            )
            for candidates in config.contenders
            for contender in candidates
        ]
        notes = (*cautions(config, {task.contender.title: task.data for task in tasks}), *without_group(data))
        keep_ledgers(folder, data, [task.contender for task in tasks], start)
        if start is not None:
            for task in tasks:
                start.check(task.contender, task.data, config.seeds)
            notes = (start.sentence(logs.schema.scenarios), *notes)
        notes = (*logs.warnings, *(found.text for found in unmet(logs)), *notes)
        for text in notes:
            note(text)
        observer(Phase(phase="training"))
        earlier = {task.folder for task in tasks if task.over}
        needed = (REFERENCE, *((config.ablation.of,) if config.ablation else ()))

        def ended(task: ContenderTask) -> None:
            for event in finished_columns(task, earlier=task.folder in earlier):
                observer(event)
            if isinstance(why := outcome(task.folder), str):
                check_goes_on(tasks, needed)
                note(f"{task.contender.title} came to nothing, the run goes on without it: {why}")

        run_tasks(tasks, config.jobs, threads, observer, ended)
        observer(Phase(phase="comparing"))
        results = compare(config.name, folder, tasks, threads=threads, notes=notes, ablation=config.ablation)
        observer(RunFinished(folder=str(folder), seeds=config.seeds, results=results))
    return Run(folder, results)


def compare(
    name: str,
    folder: Path,
    tasks: list[ContenderTask],
    *,
    threads: int,
    notes: tuple[str, ...] = (),
    ablation: Ablation | None = None,
) -> Results:
    """Choose on validation, read the test rows that were not read yet, write the table and its page.

    Args:
        tasks: all of them over.
        threads: of a contender that does not set its own.
        ablation: which tests are declared, where they are not the usual ones.
    """
    chosen, schema = choose(tasks), tasks[0].data.schema
    with directory.writing(folder):
        for found in chosen.values():
            with threads_set(found.task.contender.train.threads or threads):
                keep_scores(found.task.data, found.folder)
        results = summarise(
            name,
            {column: _finished(found) for column, found in chosen.items()},
            schema.task_names,
            (*notes, *lost(tasks)),
            unit_of(schema.group),
            ablation=ablation,
        )
        write_results(folder, results)
    return results


@contextmanager
def stop_told(observer: Observer) -> Iterator[None]:
    """Whatever ends a run before its end is an event too."""
    try:
        yield
    except UserError as error:
        observer(RunStopped(reason="error", text=str(error)))
        raise
    except KeyboardInterrupt:
        observer(RunStopped(reason="interrupted", text="interrupted; continue with the same command and --resume"))
        raise
    except Exception as error:
        observer(RunStopped(reason="fault", text=f"{type(error).__name__}: {error}"))
        raise


def run_started(config: Config | Agreed, jobs: int, folder: Path, resume: bool) -> RunStarted:
    contenders = {contender.title: contender.rounds for candidates in config.contenders for contender in candidates}
    return RunStarted(
        run=config.name,
        folder=str(folder),
        contenders=contenders,
        seeds=config.seeds,
        jobs=jobs,
        resumed=resume,
        version=__version__,
    )


def finished_columns(task: Training, earlier: bool) -> Iterator[ContenderFinished]:
    """An event for every column that a training fills; `earlier`: it was over before."""
    for column, folder in task.folders.items():
        found = outcome(folder)
        score, why = (None, found) if isinstance(found, str) else (found, None)
        yield ContenderFinished(
            contender=column, candidate=task.contender.candidate, auc=score, failed=why, earlier=earlier
        )


def candidates_of(contenders: Iterable[Sequence[Contender]]) -> dict[str, dict[str, Any]]:
    """Column -> candidate -> settings, all resolved."""
    found: dict[str, dict[str, Any]] = {}
    for contender in (candidate for candidates in contenders for candidate in candidates):
        for column in contender.columns:
            found.setdefault(column, {})[contender.candidate] = contender.as_dict()
    return found


def _finished(column: Chosen[ContenderTask]) -> Finished:
    return Finished(column.folder, column.task.contender.candidate, column.task.contender.kind)


def _resolve(config: Config | Path | str | dict[str, Any]) -> Config:
    if isinstance(config, Config):
        return config
    return parse_config(config) if isinstance(config, dict) else load_config(Path(config))


def encoded(config: Config, logs: Logs, start: Start | None, cache: Path | None) -> dict[str, EncodedData]:
    """The rows as each contender sees them: name of the variant -> data.

    Raises:
        UserError: a contender shares embeddings, and no field is declared shared.
    """
    contenders = [contender for candidates in config.contenders for contender in candidates]
    wanted = dict.fromkeys(_variant(contender) for contender in contenders)
    needy = [contender.name for contender in contenders if contender.needs_common_ids and not contender.entry.pooled]
    if needy and not any(f.shared for f in logs.schema.features):
        raise UserError(
            f"{logs.origin}: no field is declared shared, but {needy[0]} shares embeddings or sums; declare 'shared'"
            " for the fields that scenarios have in common, or remove the contender"
        )
    variants = {name: Variant(share=name == "shared", pooled=name == "pooled") for name in wanted}
    before = {name: start.encoders(name, logs.schema.scenarios) for name in variants} if start else None
    return encode_all(logs, variants, cache=cache, before=before)


def on_device(contender: Contender, automatic: str) -> Contender:
    """The contender with a device in place of `auto`."""
    if contender.train.device != "auto":
        return contender
    return replace(contender, train=contender.train.model_copy(update={"device": automatic}))


def settle(folder: Path, config: Config) -> tuple[int, str]:
    """Threads of a contender that does not set its own: its share of the cores, and the device
    that `auto` is. A resumed run keeps both.
    """
    path = folder / directory.ENVIRONMENT
    kept: dict[str, Any] = directory.read_json(path) if path.exists() else {}
    share = max(1, torch.get_num_threads() // min(config.jobs, sum(map(len, config.contenders))))
    return int(kept.get("threads", share)), str(kept.get("device") or automatic())
