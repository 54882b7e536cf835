"""A benchmark at work: rung by rung, and then the seeds of the table."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.version import __version__
from msmtrec.config.bench import Bench
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData
from msmtrec.experiment.choice import REFERENCE, check_goes_on, outcome
from msmtrec.experiment.encoders import variant
from msmtrec.experiment.keeping import keep_scores
from msmtrec.experiment.processes import ContenderTask, run_tasks
from msmtrec.experiment.run import finished_columns, on_device
from msmtrec.record import directory
from msmtrec.record.events import ContenderStarted, Event, Note, Observer, Phase, RunStarted
from msmtrec.runtime.threads import threads_set
from msmtrec.studies.candidates import Candidate
from msmtrec.studies.finished_seeds import FinishedSeeds
from msmtrec.studies.folder import TRIED, rung_folder
from msmtrec.studies.halving import better, in_rung, left_after, rungs_of
from msmtrec.studies.kept import forget, take_over, trained
from msmtrec.studies.plan import Pace, plan, work_of

Tried = Mapping[str, Sequence[ContenderTask]]
"""Label of a contender's candidate -> its training on each fold."""
_FIRST = 3
"""Trainings in rounds after which the time left is said for the first time."""
_SHOWN = 3
"""Candidates that a sentence names."""


class Going:
    """A benchmark at work.

    Args:
        bench, candidates: what is trained; folder: where.
        folds: variant -> rows, of each window that candidates are judged on; the first is the table's.
        threads: of a contender that does not set its own; device: what `auto` is.
        seeds: where finished ones are written down.
    """

    def __init__(
        self,
        bench: Bench,
        candidates: Mapping[str, tuple[Candidate, ...]],
        folder: Path,
        *,
        observer: Observer,
        folds: Sequence[Mapping[str, EncodedData]],
        threads: int,
        device: str,
        seeds: FinishedSeeds,
    ) -> None:
        self.bench, self.candidates, self.folder, self.folds = bench, candidates, folder, folds
        self.observer, self.threads, self.device, self.seeds = observer, threads, device, seeds
        self.planned = plan(bench, candidates)
        self.pace = Pace(self.planned, bench.config.jobs)
        self.lost: list[tuple[str, str]] = []

    def tune(self) -> dict[str, Contender]:
        """Contender -> its chosen candidate, without those whose candidates all came to nothing.

        Raises:
            UserError: these are all contenders, or `local` is one of them.
        """
        rungs = self.bench.settings.rungs
        climbing = {name: {one.label: one for one in own} for name, own in self.candidates.items()}
        tried: dict[str, Any] = {
            name: {one.label: {"settings": dict(one.chosen), "rungs": []} for one in own}
            for name, own in self.candidates.items()
        }
        for rung in range(rungs):
            tasks = {
                name: {label: self._candidate_tasks(one, rung) for label, one in own.items()}
                for name, own in climbing.items()
                if rung < len(self.planned[name].rungs)
            }
            every = [task for own in tasks.values() for folds in own.values() for task in folds]
            if rung:
                self._go_on(every, rung)
            ended = partial(self._tried_out, tasks, rung)
            self._stage(f"rung {rung + 1} of {rungs}", every, dict.fromkeys(tasks, rung), ended)
            for name, own in tasks.items():
                best = self._judge(name, own, rung, tried[name])
                climbing[name] = {label: climbing[name][label] for label in best}
                if not best:
                    del climbing[name]
            self._write_tried(tried, climbing)
            lost = dict(self.lost)
            if REFERENCE in lost or not climbing:
                name = REFERENCE if REFERENCE in lost else next(iter(lost))
                raise UserError(f"{name}: {lost[name]}")
        self._write_tried(tried, climbing)
        return {name: replace(next(iter(own.values())).contender, candidate="") for name, own in climbing.items()}

    def _go_on(self, tasks: list[ContenderTask], rung: int) -> None:
        """Every training of a rung but the first goes on from what the one before kept, or begins anew and says so."""
        waiting = [task for task in tasks if not task.over]
        for task in waiting:
            take_over(rung_folder(self.folder, rung - 1, task.contender.name, task.contender.candidate), task.folder)
        anew = [task.contender.title for task in waiting if not trained(task.folder)]
        if anew:
            more = f" and {len(anew) - _SHOWN} more" if len(anew) > _SHOWN else ""
            text = f"{', '.join(anew[:_SHOWN])}{more}; rung {rung} kept nothing to go on from"
            self.observer(Note(text=f"trained from the first round: {text}"))

    def _tried_out(self, tasks: Mapping[str, Tried], rung: int, task: ContenderTask) -> None:
        """Of a candidate whose training is over only its figures stay, and what it may go on from."""
        _forget_models(task)
        own = tasks[task.contender.name]
        over = {label: on_average(folds) for label, folds in own.items() if all(one.over for one in folds)}
        best = self._best(task.contender.name, over, len(own), rung)
        for label in over.keys() - best:
            for one in own[label]:
                forget(one.folder)

    def _best(self, name: str, found: Mapping[str, float | str], among: int, rung: int) -> list[str]:
        """The candidates that go on, of those that have been judged; the others will not, whoever is judged later."""
        scores = {label: None if isinstance(one, str) else one for label, one in found.items()}
        return better(scores, left_after(among, rung, len(self.planned[name].rungs)))

    def _judge(self, name: str, tasks: Tried, rung: int, tried: Mapping[str, Any]) -> list[str]:
        """The candidates that go on; a contender without any is lost."""
        found = {label: on_average(folds) for label, folds in tasks.items()}
        best = self._best(name, found, len(tasks), rung)
        for label, one in found.items():
            auc, why = (None, {"failed": one}) if isinstance(one, str) else (one, {})
            line: dict[str, Any] = {
                "rounds": tasks[label][0].contender.train.rounds,
                "auc": auc,
                "goes_on": label in best,
            }
            if len(tasks[label]) > 1 and auc is not None:
                line["folds"] = [judged(task) for task in tasks[label]]
            tried[label]["rungs"].append(line | why)
        if not best:
            self.lost.append((name, str(next(iter(found.values())))))
            self.pace.not_needed(name)
        return best

    def train(self, chosen: Mapping[str, Contender]) -> list[ContenderTask]:
        """The final seeds of every contender, measured on the test rows as they end."""
        tasks = [
            ContenderTask(
                on_device(one, self.device),
                self.folds[0][variant(one)],
                self.bench.seeds,
                directory.contender_folder(self.folder, name),
            )
            for name, one in chosen.items()
        ]

        def ended(task: ContenderTask) -> None:
            for column, folder in task.folders.items():
                if isinstance(why := outcome(folder), str):
                    check_goes_on(tasks)
                    self.observer(Note(text=f"{column} came to nothing, the benchmark goes on without it: {why}"))
                    continue
                with directory.writing(folder), threads_set(task.contender.train.threads or self.threads):
                    keep_scores(task.data, folder)
                self.seeds.put(column, folder)

        last = {name: len(self.planned[name].rungs) for name in chosen}
        self._stage(f"{len(self.bench.seeds)} seeds of the chosen candidates", tasks, last, ended)
        return tasks

    def _stage(
        self,
        phase: str,
        tasks: list[ContenderTask],
        numbers: Mapping[str, int],
        ended: Callable[[ContenderTask], None],
    ) -> None:
        """Train what is not over yet, as many at a time as there are jobs.

        numbers: contender -> which of its planned stages it is.
        """
        waiting = [task for task in tasks if not task.over]
        waiting.sort(key=lambda task: task.contender.rounds > 0)  # what is quick first, so that its mistakes are
        done = {task.contender.title: trained(task.folder) for task in waiting}
        for name, number in numbers.items():
            own = [task for task in waiting if task.contender.name == name]
            self.pace.stage(name, number, sum(work_of(task, done[task.contender.title]) for task in own))
        for task in tasks:
            if task not in waiting:
                ended(task)
        if not waiting:
            return

        def tell(event: Event) -> None:
            if isinstance(event, ContenderStarted):
                self.pace.starts(event.title)
            self.observer(event)

        def over(task: ContenderTask) -> None:
            self.pace.ended(task, numbers[task.contender.name], done[task.contender.title])
            for event in finished_columns(task, earlier=False):
                self.observer(event)
            ended(task)
            if self.pace.items == _FIRST:
                self._say_time()

        self.observer(self._started(phase, waiting))
        self.observer(Phase(phase=phase))
        before = self.pace.items
        run_tasks(waiting, self.bench.config.jobs, self.threads, tell, over)
        if not before < _FIRST == self.pace.items:  # then it has just been said
            self._say_time()

    def _started(self, phase: str, tasks: list[ContenderTask]) -> RunStarted:
        return RunStarted(
            run=f"{self.bench.config.name}: {phase}",
            folder=str(self.folder),
            contenders={task.contender.title: task.contender.rounds for task in tasks},
            seeds=tasks[0].seeds,
            jobs=self.bench.config.jobs,
            resumed=False,
            version=__version__,
        )

    def _say_time(self) -> None:
        left = self.pace.left()
        if left:
            self.observer(Note(text=f"{_time(left)} left of the whole benchmark, at the pace so far"))

    def _candidate_tasks(self, candidate: Candidate, rung: int) -> list[ContenderTask]:
        """On each fold; those beside the table's rows have its number in their folder's name."""
        whole = on_device(candidate.contender, self.device)
        rungs = rungs_of(len(self.candidates[whole.name]), whole, self.bench.settings.rungs)
        whole, on_to = in_rung(whole, rung, rungs)
        found = []
        for number, data in enumerate(self.folds):
            contender = replace(whole, candidate=f"{whole.candidate}.fold-{number}") if number else whole
            place = rung_folder(self.folder, rung, contender.name, contender.candidate)
            rows = data[variant(contender)]
            found.append(ContenderTask(contender, rows, self.bench.tune_seeds, place, on_to=on_to))
        return found

    def _write_tried(self, tried: Mapping[str, Any], climbing: Mapping[str, Mapping[str, Candidate]]) -> None:
        chosen = {name: next(iter(own)) if len(own) == 1 else None for name, own in climbing.items()}
        found = {name: {"chosen": chosen.get(name), "candidates": own} for name, own in tried.items()}
        with directory.writing(self.folder):
            directory.write_json(self.folder / TRIED, found)


def on_average(folds: Sequence[ContenderTask]) -> float | str:
    """The mean over the windows that a candidate is judged on; why there is none where it comes to nothing in one."""
    found = [judged(task) for task in folds]
    failed = next((one for one in found if isinstance(one, str)), None)
    return failed if failed is not None else fmean(one for one in found if isinstance(one, float))


def judged(task: ContenderTask) -> float | str:
    """The validation AUC of the better of the columns that a training fills, or why there is none."""
    found = [outcome(folder) for folder in task.folders.values()]
    scores = [score for score in found if isinstance(score, float)]
    return max(scores) if scores else str(found[0])


def _forget_models(task: ContenderTask) -> None:
    """Of a candidate that is trained to be judged only its figures stay."""
    for folder in task.folders.values():
        for name in ("models", "server"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"about {seconds / 3600:.1f} hours"
        if minutes >= 90
        else f"about {minutes} min"
        if minutes
        else "less than a minute"
    )
