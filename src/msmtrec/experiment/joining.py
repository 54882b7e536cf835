"""One contender's newcomers: a first download from the kept server, then local training while validation rises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.config.contender import Contender
from msmtrec.config.train import FineTune
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import counting
from msmtrec.experiment.here import Here, begun
from msmtrec.experiment.journal import ContenderJournal
from msmtrec.experiment.keeping import keep_scores, save_models
from msmtrec.experiment.rounds import RoundsTold
from msmtrec.experiment.sites import site_of
from msmtrec.experiment.start import Start
from msmtrec.federation.fine_tuning import FineTuning, fine_tune
from msmtrec.federation.messages import Order, reports_of
from msmtrec.record.columns import AS_IT_WAS
from msmtrec.record.directory import TEST, VALIDATION, read_json, write_json
from msmtrec.record.events import ignore


def join(start: Start, column: str, contender: Contender, data: EncodedData, rounds: int | None, folder: Path) -> None:
    """Write a column's folder for the scenarios of `data` alone: models, validation.json, test.json, scores.npz, lines.

    Raises:
        UserError: the network has weights for each scenario of the run, or the method has no place for a newcomer.
    """
    contender = replace(contender, train=contender.train.model_copy(update={"batch_size": _batch(contender)}))
    if any(d.owners for d in contender.model.build(data.layout).declare()):
        raise UserError(
            f"{column}: {contender.model.name} has weights for each scenario it was trained with, and none for a new"
            " one; leave it out: --contender NAME"
        )
    site = site_of(contender, data, start)
    method = site.method
    seeds = start.run.seeds(column)
    members = [Member(seed, name) for seed in seeds for name in data.scenarios]
    clients = begun(contender, site, seeds)
    here = Here(contender, clients)
    orders = dict.fromkeys(members, Order(1, measure=0))
    if not contender.entry.alone:
        servers = {seed: start.server(column, method, seed) for seed in seeds}
        orders = {m: Order(1, reply=method.welcome(servers[m.seed], m.scenario)[1], measure=0) for m in members}
    folder.mkdir(parents=True)
    told = RoundsTold(ignore, column, contender.candidate)
    journal = ContenderJournal(folder, here, contender.train, {}, told=told)
    reports = reports_of(clients, orders)
    journal.metrics(0, "after", "validation", {m: report.measured for m, report in reports.items()})
    why = dict(untrained(data))
    training = [member for member in members if member.scenario not in why]
    if training and not (contender.entry.alone or column.endswith(AS_IT_WAS)):
        patience = (contender.fine_tune or FineTune.model_validate({})).patience
        fine_tune(clients, training, FineTuning(rounds or contender.train.rounds, patience), 0, journal)
    journal.finish()
    write_json(folder / VALIDATION, save_models(contender, column, clients, members, folder, unmeasured=True))
    keep_scores(data, folder)
    _add_lines_without_rows(data, folder)


def untrained(data: EncodedData) -> Iterator[tuple[str, str]]:
    """Scenarios that cannot train, and why."""
    for name, table in data.tables.items():
        train, validation = table.splits["train"], table.splits["validation"]
        if not any(counting(column, train.weight).any() for column in train.labels.T):
            yield name, f"scenario '{name}' has no labelled training row: its models are their first download"
        elif not any(
            len(np.unique(column[counting(column, validation.weight)])) == 2 for column in validation.labels.T
        ):
            yield (
                name,
                f"scenario '{name}' has no task with both classes among its validation rows, so that no round can be"
                " chosen: its models are their first download",
            )


def _batch(contender: Contender) -> int:
    """A config may list the scenarios' batches; a newcomer takes the median."""
    size = contender.train.batch_size
    return round(median(size.values())) if isinstance(size, dict) else size


def _add_lines_without_rows(data: EncodedData, folder: Path) -> None:
    """A task without test rows has a line in the table that says so."""
    records = read_json(folder / TEST)
    known = {(r["seed"], r["scenario"], r["task"]) for r in records}
    for chosen in read_json(folder / VALIDATION):
        seed, scenario = chosen["seed"], chosen["scenario"]
        for task, has in zip(data.schema.task_names, data.schema.has_task(scenario), strict=True):
            if has and (seed, scenario, task) not in known:
                nothing = {"auc": None, "log_loss": None, "rows": 0, "positives": 0}
                records.append({"seed": seed, "round": chosen["round"], "scenario": scenario, "task": task, **nothing})
    write_json(folder / TEST, records)
