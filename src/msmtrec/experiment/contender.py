"""One contender of an experiment, start to end: set up or resume, federate, fine-tune, read the test rows once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from msmtrec.base.errors import Diverged
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData
from msmtrec.experiment.boosted import boosted_trees
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.journal import ContenderJournal
from msmtrec.experiment.keeping import save_models
from msmtrec.experiment.known import rows_as_it_was
from msmtrec.experiment.rounds import RoundsTold
from msmtrec.experiment.shares import shares_of
from msmtrec.experiment.sites import first_parameters, site_of
from msmtrec.experiment.start import Start
from msmtrec.federation import checkpoint as checkpoints
from msmtrec.federation import server
from msmtrec.federation.fine_tuning import FineTuning, fine_tune
from msmtrec.federation.memory import Shipment
from msmtrec.federation.messages import Order
from msmtrec.federation.rounds import Plan, Standing, federate
from msmtrec.federation.scenario import Site
from msmtrec.methods.base import Reply
from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.record.directory import CHECKPOINT, FAILED, VALIDATION, ended, server_file, write_json, writing
from msmtrec.record.events import ContenderStarted, Observer, Progress, ignore
from msmtrec.runtime.in_process import InProcess
from msmtrec.runtime.side_by_side import Clients, divided
from msmtrec.runtime.threads import threads_set


def run_contender(
    contender: Contender,
    data: EncodedData,
    seeds: tuple[int, ...],
    folder: Path,
    tell: Observer,
    threads: int,
    on_to: int = 0,
) -> None:
    """Train one contender and write its folder, and beside it that of its fine-tuned column.

    A finished contender is left alone, an interrupted one continued. `validation.json` is written last and marks a
    folder as finished; `failed.json` stands in its place where training diverged. `threads` are those of a contender
    that does not set its own. Reads training and validation rows only.

    on_to: rounds of a training that goes on from this one, 0 where none does. The checkpoint of the last round, from
        which it does, then stays; and each round gives, to the bit, what it gives in that training.
    """
    places = column_folders(contender, folder)
    if all(ended(place) for place in places.values()):
        tell(_started(contender, seeds, contender.rounds))
        for column, place in places.items():
            if (place / VALIDATION).exists():
                RoundsTold(tell, column, contender.candidate).again(place)
    else:
        with writing(folder), threads_set(contender.train.threads or threads):
            try:
                _train(contender, data, seeds, folder, tell, on_to)
            except Diverged as error:
                for place in places.values():
                    if not ended(place):
                        place.mkdir(parents=True, exist_ok=True)
                        write_json(place / FAILED, {"sentence": str(error)})
    if not on_to:
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


def _train(
    contender: Contender, data: EncodedData, seeds: tuple[int, ...], folder: Path, tell: Observer, on_to: int
) -> None:
    train, site = contender.train, site_of(contender, data)
    if contender.entry.alone:
        _without_network(contender, site, data, seeds, folder, tell)
        return
    method = site.method
    members = [Member(seed, name) for seed in seeds for name in data.scenarios]
    first = first_parameters(site.model, data, seeds, train, silent=contender.has_head)
    start = Start.open(contender.start) if contender.start else None
    saved, ship = checkpoints.load(folder / CHECKPOINT, method.state_type), Shipment(site.deck.device)
    if saved is None:
        shutil.rmtree(folder, ignore_errors=True)
        rows = {name: site.deck.counted[name] for name in data.scenarios}
        if start is None:
            example = {seed: first[Member(seed, data.scenarios[0])] for seed in seeds}
            common = {seed: {n: example[seed][n] for n in method.common_names()} for seed in seeds}
            servers = {seed: server.begin(method, common[seed], rows) for seed in seeds}
            standing = Standing(servers, measured=not contender.has_head)  # a head alone may be the best there is
        else:
            first = start.parameters(contender, data, first)
            standing = start.standing(contender, method, seeds, rows)
        memories = {m: site.begin(m, first[m], ship) for m in members}
    else:
        standing = saved.standing
        memories = {m: replace(memory, slots=ship(memory.slots)) for m, memory in saved.memories.items()}
    shapes, own = first[members[0]], InProcess(site, memories)
    shares = shares_of(max(contender.rounds, on_to), data, site, members, torch.get_num_threads())
    del first, memories  # in a large federation they are most of what is in memory
    with divided(own, shares, partial(site_of, contender, data)) as clients:
        if start is not None and saved is None:
            replies = {member: standing.servers[member.seed].owed.get(member.scenario) for member in members}
            _keep_as_it_was(contender, start, data, clients, replies, folder)
        told = RoundsTold(tell, contender.name, contender.candidate)
        journal = ContenderJournal(folder, clients, train, saved.journal if saved else {}, told=told)
        tell(_started(contender, seeds, standing.round))
        told.again(folder)
        plan = _plan(contender, site, seeds, shapes)
        standing = federate(plan, method, clients, standing, journal, lambda done: tell(_progress(contender, done)))
        if on_to:
            journal.keep(standing)
        journal.finish()
        for seed, kept in standing.kept.items():
            checkpoints.save_server(server_file(folder, seed), kept)
        save_models(contender, contender.name, clients, members, folder)
        if contender.fine_tune:
            _fine_tune(contender, clients, members, folder, standing.round, tell)


def _without_network(
    contender: Contender, site: Site, data: EncodedData, seeds: tuple[int, ...], folder: Path, tell: Observer
) -> None:
    """Everything was said when the rows were read, or is what boosting makes of them; only then do seeds differ."""
    shutil.rmtree(folder, ignore_errors=True)
    tell(_started(contender, seeds, 0))
    if isinstance(contender.settings, GBMSettings):
        first = boosted_trees(contender.settings, site.data, seeds, site.deck.dtype)
        site = replace(site, stack="off")  # trees of two members have no shape in common
    else:
        first = first_parameters(site.model, site.data, seeds, contender.train)
    ship = Shipment(site.deck.device)
    clients = InProcess(site, {member: site.begin(member, own, ship) for member, own in first.items()})
    if contender.start:
        _keep_as_it_was(contender, Start.open(contender.start), data, clients, dict.fromkeys(first), folder)
    _measured_once(contender, contender.name, clients, dict.fromkeys(first, Order(1, measure=0)), folder, tell)


def _plan(contender: Contender, site: Site, seeds: tuple[int, ...], shapes: Parameters) -> Plan:
    """shapes: parameters of any member."""
    train, method = contender.train, site.method
    return Plan(
        seeds=seeds,
        scenarios=site.data.scenarios,
        rounds=train.rounds,
        participation=train.participation,
        max_staleness=train.max_staleness,
        evaluate_before=train.evaluate_before,
        patience=train.patience,
        expected={slot: {n: shapes[n] for n in method.network(slot)} for slot in method.leaving_slots()},
        tables={name: shapes[name] for name in site.shared},
        already=_already(contender, site, len(seeds)),
    )


def _already(contender: Contender, site: Site, federations: int) -> dict[str, tuple[int, int]]:
    """Statistics go to the server and back before the first round; pooled rows are in one place."""
    up, down = (0, 0) if site.statistics is None or contender.entry.pooled else site.statistics.sent
    return {str(Role.ID_STATISTIC): (federations * up, federations * down)} if up else {}


def _measured_once(
    contender: Contender, column: str, clients: Clients, orders: Mapping[Member, Order], folder: Path, tell: Observer
) -> None:
    """A column without rounds: models as the orders make them, measured on the validation rows."""
    told = RoundsTold(tell, column, contender.candidate)
    journal = ContenderJournal(folder, clients, contender.train, {}, told=told)
    reports = clients(orders)
    journal.metrics(0, "after", "validation", {m: report.measured for m, report in reports.items()})
    journal.finish()
    save_models(contender, column, clients, list(orders), folder)


def _keep_as_it_was(
    contender: Contender,
    start: Start,
    data: EncodedData,
    clients: Clients,
    replies: Mapping[Member, Reply | None],
    folder: Path,
) -> None:
    """The column of what is there before any training: the models that were served, a newcomer's first download.

    They are measured on the new validation rows, with what they knew of their ids, and stay every scenario's best until
    a round is better.

    replies: first downloads.
    """
    column = contender.as_it_was
    place = column_folders(contender, folder)[column]
    shutil.rmtree(place, ignore_errors=True)
    new = {member: not start.knows(contender, member.scenario) for member in replies}
    orders = {member: Order(1, reply=reply if new[member] else None, measure=0) for member, reply in replies.items()}
    site = clients.site
    if site.statistics is not None:
        rows, known = rows_as_it_was(contender, data, start)
        before = InProcess(replace(site, data=rows, statistics=known), dict(clients.memories))
        _measured_once(contender, column, before, orders, place, ignore)
        clients(orders)
    else:
        _measured_once(contender, column, clients, orders, place, ignore)


def _fine_tune(
    contender: Contender, clients: Clients, members: list[Member], folder: Path, last: int, tell: Observer
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
    journal = ContenderJournal(place, clients, contender.train, lengths, told=told)
    local = FineTuning(settings.rounds, settings.patience)
    before = contender.train.rounds - last  # rounds that were not needed count as done
    fine_tune(clients, members, local, last, journal, lambda done: tell(_progress(contender, done + before)))
    journal.finish()
    save_models(contender, column, clients, members, place)


def _started(contender: Contender, seeds: tuple[int, ...], done: int) -> ContenderStarted:
    return ContenderStarted(
        contender=contender.name,
        candidate=contender.candidate,
        rounds=contender.rounds,
        done=done,
        seeds=seeds,
        settings=contender.resolved,
    )


def _progress(contender: Contender, done: int) -> Progress:
    return Progress(contender=contender.name, candidate=contender.candidate, done=done, rounds=contender.rounds)
