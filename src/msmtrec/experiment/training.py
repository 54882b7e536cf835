"""The server's half of a contender's training, start to end. It reaches scenarios by messages, wherever they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from msmtrec.base.errors import Diverged
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.config.contender import Contender
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.journal import ContenderJournal
from msmtrec.experiment.rounds import RoundsTold
from msmtrec.experiment.scenarios import Ground, Scenarios
from msmtrec.experiment.sites import wire_of
from msmtrec.federation import checkpoint as checkpoints
from msmtrec.federation import server
from msmtrec.federation.fine_tuning import FineTuning, fine_tune
from msmtrec.federation.messages import Order, reports_of
from msmtrec.federation.rounds import federate
from msmtrec.federation.standing import Plan, Standing
from msmtrec.record.directory import FAILED, VALIDATION, ended, server_file, write_json
from msmtrec.record.events import ContenderStarted, Observer, Progress


def first_standing(contender: Contender, ground: Ground, common: Mapping[int, Parameters]) -> Standing[Any]:
    """Before the first round. common: seed -> what its scenarios begin with (`sites.common_parameters`)."""
    method, servers = ground.method, {}
    for seed, drawn in common.items():
        servers[seed] = server.begin(method, {name: drawn[name] for name in method.common_names()}, ground.rows)
    return Standing(servers, measured=not contender.has_head)  # a head alone may be the best there is


def train(
    contender: Contender,
    ground: Ground,
    scenarios: Scenarios,
    standing: Standing[Any],
    *,
    folder: Path,
    tell: Observer,
    lengths: Mapping[str, int] | None = None,
    on_to: int = 0,
) -> None:
    """All rounds that are left, then the models of the best ones, then fine-tuning.

    Args:
        folder: the contender's.
        lengths: of its files, where a checkpoint left off.
        on_to: as in `run_contender`.

    Raises:
        Diverged: a federation came to nothing.
    """
    seeds = tuple(standing.servers)
    told = RoundsTold(tell, contender.name, contender.candidate)
    journal = ContenderJournal(folder, scenarios, contender.train, lengths or {}, told=told)
    tell(started(contender, seeds, standing.round))
    told.again(folder)
    plan = _plan(contender, ground, seeds)
    standing = federate(
        plan, ground.method, scenarios, standing, journal, lambda done: tell(_progress(contender, done))
    )
    if on_to:
        journal.keep(standing)
    journal.finish()
    for seed, kept in standing.kept.items():
        checkpoints.save_server(server_file(folder, seed), kept)
    members = ground.members(seeds)
    scenarios.keep(contender.name, members, folder)
    if contender.fine_tune:
        _fine_tune(contender, scenarios, members, folder, standing.round, tell)


@contextmanager
def ending(places: Mapping[str, Path]) -> Iterator[None]:
    """A training that comes to nothing is said in the folders that it would have filled, and ends there."""
    try:
        yield
    except Diverged as error:
        for place in places.values():
            if not ended(place):
                place.mkdir(parents=True, exist_ok=True)
                write_json(place / FAILED, {"sentence": str(error)})


def told_again(contender: Contender, seeds: tuple[int, ...], places: Mapping[str, Path], tell: Observer) -> None:
    """Of a contender that was over before: its rounds, as they are written."""
    tell(started(contender, seeds, contender.rounds))
    for column, place in places.items():
        if (place / VALIDATION).exists():
            RoundsTold(tell, column, contender.candidate).again(place)


def measured_once(
    contender: Contender,
    column: str,
    scenarios: Scenarios,
    orders: Mapping[Member, Order],
    folder: Path,
    tell: Observer,
) -> None:
    """A column without rounds: models as the orders make them, measured on the validation rows."""
    told = RoundsTold(tell, column, contender.candidate)
    journal = ContenderJournal(folder, scenarios, contender.train, {}, told=told)
    reports = reports_of(scenarios, orders)
    journal.metrics(0, "after", "validation", {m: report.measured for m, report in reports.items()})
    journal.finish()
    scenarios.keep(column, list(orders), folder)


def started(contender: Contender, seeds: tuple[int, ...], done: int) -> ContenderStarted:
    return ContenderStarted(
        contender=contender.name,
        candidate=contender.candidate,
        rounds=contender.rounds,
        done=done,
        seeds=seeds,
        settings=contender.resolved,
    )


def _plan(contender: Contender, ground: Ground, seeds: tuple[int, ...]) -> Plan:
    train, method = contender.train, ground.method
    declared = (d for d in ground.model.declare() if d.role is not Role.EMBEDDING)
    shapes = {d.name: torch.zeros(()).expand([size or 0 for size in d.shape]) for d in declared}  # without memory
    up, down = ground.sent
    already = {str(Role.ID_STATISTIC): (len(seeds) * up, len(seeds) * down)} if up else {}
    return Plan(
        seeds=seeds,
        scenarios=ground.scenarios,
        rounds=train.rounds,
        participation=train.participation,
        max_staleness=train.max_staleness,
        evaluate_before=train.evaluate_before,
        patience=train.patience,
        expected={slot: {n: shapes[n] for n in method.network(slot)} for slot in method.leaving_slots()},
        tables={name: shapes[name] for name in ground.model.common_tables},
        already=already,
        wire=wire_of(train),
    )


def _fine_tune(
    contender: Contender, scenarios: Scenarios, members: list[Member], folder: Path, last: int, tell: Observer
) -> None:
    """The fine-tuned column's folder: local training from the best rounds, which are in `folder`."""
    settings = contender.fine_tune
    assert settings is not None
    column = contender.tuned
    place = column_folders(contender, folder)[column]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    names = [path.name for path in folder.glob("*.jsonl")]  # its lines begin with the rounds it is fine-tuned from
    lengths = {Path(name).stem: shutil.copyfile(folder / name, place / name).stat().st_size for name in names}
    told = RoundsTold(tell, column, contender.candidate)
    journal = ContenderJournal(place, scenarios, contender.train, lengths, told=told)
    local = FineTuning(settings.rounds, settings.patience)
    before = contender.train.rounds - last  # rounds that were not needed count as done
    fine_tune(scenarios, members, local, last, journal, lambda done: tell(_progress(contender, done + before)))
    journal.finish()
    scenarios.keep(column, members, place)


def _progress(contender: Contender, done: int) -> Progress:
    return Progress(contender=contender.name, candidate=contender.candidate, done=done, rounds=contender.rounds)
