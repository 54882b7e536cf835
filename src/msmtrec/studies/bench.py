"""A benchmark: every contender tuned on as many candidates, the chosen one trained on all seeds and compared."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from msmtrec.base.errors import Caution, UserError
from msmtrec.base.settings import cache_directory
from msmtrec.base.yaml import dump_yaml
from msmtrec.config.bench import Bench
from msmtrec.config.cautions import cautions
from msmtrec.config.contender import Contender
from msmtrec.config.parse import Config
from msmtrec.data.folds import rolled
from msmtrec.data.logs import Logs
from msmtrec.data.table import EncodedData
from msmtrec.experiment.described import describe, environment, without_group
from msmtrec.experiment.encoders import keep_encoders, variant
from msmtrec.experiment.ledgers import keep_ledgers
from msmtrec.experiment.processes import ContenderTask, refuse_within_import
from msmtrec.experiment.run import candidates_of as settings_of
from msmtrec.experiment.run import compare, encoded, settle, stop_told
from msmtrec.logs.reading.words import unmet
from msmtrec.record import directory
from msmtrec.record.events import Note, Observer, Phase, RunFinished, ignore
from msmtrec.record.lock import locked
from msmtrec.serving.finished import Run
from msmtrec.studies.candidates import candidates_of
from msmtrec.studies.finished_seeds import FinishedSeeds
from msmtrec.studies.folder import SEEDS, TRIED, asked, checked, discarded_if_untrained, write_asked
from msmtrec.studies.going import Going
from msmtrec.studies.plan import in_words


def run_bench(
    bench: Bench,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    results: Path | None = None,
    observer: Observer = ignore,
    cache: bool = True,
    caution: Callable[[str], None] = lambda text: warnings.warn(text, Caution, stacklevel=2),
) -> Run | None:
    """Tune every contender on validation rows, train the chosen candidates on all seeds, read the test rows once.

    The folder becomes a run directory of the chosen candidates, with what was tried beside it. What is finished there
    is not trained again; contenders may be added, and left out.

    Args:
        out: default runs/<name>.
        resume: continue what is in the folder.
        results: the file of finished seeds, by which contenders are known that were trained elsewhere; default
            bench.csv in the folder.
        observer: takes every event, in this process; each rung, and the final seeds, begin with a RunStarted.
        cache: keep the encoded rows for the next run on the same logs.
        caution: takes sentences as that of `run`.

    Returns:
        The run directory; None where every contender was trained elsewhere.

    Raises:
        UserError: anything the user can repair.
    """
    refuse_within_import()

    def say(texts: Iterable[str]) -> None:
        for text in texts:
            observer(Note(text=text))
            caution(text)

    with stop_told(observer):
        folder = Path(out) if out is not None else Path("runs") / bench.config.name
        candidates = candidates_of(bench)
        wanted = checked(folder, asked(bench, candidates), resume=resume)
        with directory.writing(folder, "choose another --out"):
            folder.mkdir(parents=True, exist_ok=True)
    with stop_told(observer), locked(folder), discarded_if_untrained(folder):
        observer(Phase(phase="reading the logs"))
        logs = bench.config.load()
        seeds = FinishedSeeds(results or folder / SEEDS, logs.schema.name)
        elsewhere = [
            name
            for name, own in candidates.items()
            if seeds.has(_lines_of(own[0].contender, bench.seeds, logs.schema.scenarios))
            and not directory.ended(directory.contender_folder(folder, name))
        ]
        here = {name: own for name, own in candidates.items() if name not in elsewhere}
        told = [
            f"{name} is not trained again and not in the table: all its lines are in {seeds.path}; what tests by user"
            " need of it is where it was trained"
            for name in elsewhere
        ]
        say(told)
        if not here:
            return None
        whole = replace(bench.config, contenders=tuple(tuple(one.contender for one in own) for own in here.values()))
        where = cache_directory() if cache else None
        folds = [_fold(whole, fold, where, of=logs) for fold in rolled(logs, bench.settings.folds)]
        data = folds[0]
        write_asked(folder, wanted)
        describe(folder, data, logs.notes)
        keep_encoders(folder, data)
        threads, device = settle(folder, whole)
        directory.write_json(folder / directory.ENVIRONMENT, environment(whole.jobs, threads, device))
        going = Going(
            bench,
            here,
            folder,
            observer=observer,
            folds=folds,
            threads=threads,
            device=device,
            seeds=seeds,
        )
        first = {name: replace(own[0].contender, candidate="") for name, own in here.items()}
        early = _notes(_config(bench, first), logs, data)
        say(early)
        keep_ledgers(folder, data, [one for own in whole.contenders for one in own])  # finds mistakes early
        over = "; what is over of them is not trained again" if resume else ""
        observer(Note(text=in_words(going.planned) + over))
        chosen = going.tune()
        final = _config(bench, chosen)
        notes = _notes(final, logs, data)
        if any(one.rungs for one in going.planned.values()):
            notes.append(_tuned(bench))
        notes += [f"{name} is not in the table: all its candidates came to nothing: {why}" for name, why in going.lost]
        say([text for text in notes if text not in early])
        tasks = going.train(chosen)
        observer(Phase(phase="comparing"))
        _write_config(folder, final, data, tasks)
        table = compare(final.name, folder, tasks, threads=threads, notes=(*told, *notes))
        observer(RunFinished(folder=str(folder), seeds=bench.seeds, results=table))
    return Run(folder, table)


def _fold(config: Config, fold: Logs, cache: Path | None, *, of: Logs) -> dict[str, EncodedData]:
    """Its rows; errors as `encoded`."""
    try:
        return encoded(config, fold, None, cache)
    except UserError as error:
        if fold is of:
            raise
        raise UserError(f"bench.folds: {error}; or give fewer folds") from error


def _config(bench: Bench, contenders: Mapping[str, Contender]) -> Config:
    """The ordinary config of contenders that have one candidate each."""
    return replace(bench.config, contenders=tuple((one,) for one in contenders.values()), seeds=bench.seeds)


def _notes(config: Config, logs: Logs, data: dict[str, EncodedData]) -> list[str]:
    """As those of `run`; errors as `cautions`."""
    rows = {one.title: data[variant(one)] for (one,) in config.contenders}
    found = [*logs.warnings, *(one.text for one in unmet(logs))]
    return [*found, *cautions(config, rows), *without_group(data)]


def _lines_of(
    contender: Contender, seeds: tuple[int, ...], scenarios: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, str, str, str]]:
    return [
        (column, scenario, task, str(seed))
        for column in contender.columns
        for scenario, tasks in scenarios.items()
        for task in tasks
        for seed in seeds
    ]


def _write_config(folder: Path, config: Config, data: dict[str, EncodedData], tasks: list[ContenderTask]) -> None:
    """What makes the folder a run directory: another one is trained from its config.yaml with the same figures."""
    with directory.writing(folder):
        plain = directory.standard(config.as_dict())
        directory.write_atomic(folder / directory.CONFIG, dump_yaml(plain))
        directory.write_json(folder / directory.CANDIDATES, settings_of(config.contenders))
        shutil.rmtree(folder / directory.LEDGERS, ignore_errors=True)  # one more contender may count more fields
    keep_ledgers(folder, data, [task.contender for task in tasks])


def _tuned(bench: Bench) -> str:
    one = bench.settings
    folds = f", on {one.folds} windows of time" if one.folds > 1 else ""
    where = f" in {one.rungs} rung{'s' * (one.rungs > 1)}{folds}"
    return (
        f"for every contender {one.candidates} candidates were drawn from its space; one was chosen on validation rows,"
        f" with {one.tune_seeds} other seed{'s' * (one.tune_seeds > 1)}{where}:"
        f" {TRIED} has all of them"
    )
