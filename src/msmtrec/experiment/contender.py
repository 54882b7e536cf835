"""One contender of an experiment with all scenarios on this machine: set up or resume, then train."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from msmtrec.base.member import Member
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.here import Here, begun, ground_of
from msmtrec.experiment.known import rows_as_it_was
from msmtrec.experiment.shares import shares_of
from msmtrec.experiment.sites import common_parameters, first_parameters, site_of
from msmtrec.experiment.start import Start
from msmtrec.experiment.training import ending, first_standing, measured_once, started, told_again, train
from msmtrec.federation import checkpoint as checkpoints
from msmtrec.federation.memory import Shipment
from msmtrec.federation.messages import Order
from msmtrec.federation.site import Site
from msmtrec.methods.base import Reply
from msmtrec.record.directory import CHECKPOINT, ended, writing
from msmtrec.record.events import Observer, ignore
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
        told_again(contender, seeds, places, tell)
    else:
        with writing(folder), threads_set(contender.train.threads or threads), ending(places):
            _train(contender, data, seeds, folder, tell, on_to)
    if not on_to:
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


def _train(
    contender: Contender, data: EncodedData, seeds: tuple[int, ...], folder: Path, tell: Observer, on_to: int
) -> None:
    site = site_of(contender, data)
    ground, start = ground_of(contender, site), Start.open(contender.start) if contender.start else None
    if contender.entry.alone:
        _without_network(contender, site, data, seeds, folder, tell)
        return
    saved = checkpoints.load(folder / CHECKPOINT, ground.method.state_type)
    if saved is not None:
        ship, standing = Shipment(site.deck.device), saved.standing
        own = InProcess(site, {m: replace(memory, slots=ship(memory.slots)) for m, memory in saved.memories.items()})
    else:
        shutil.rmtree(folder, ignore_errors=True)
        common = common_parameters(contender, site.model, seeds)
        first = first_parameters(contender, site.model, data, common)
        if start is None:
            standing = first_standing(contender, ground, common)
        else:
            standing = start.standing(contender, ground.method, seeds, ground.rows)
            first = start.parameters(contender, data, first)
        own = begun(contender, site, seeds, first)
        del common, first  # in a large federation they are most of what is in memory
    members, lengths = ground.members(seeds), saved.journal if saved else None
    shares = shares_of(max(contender.rounds, on_to), data, site, members, torch.get_num_threads())
    going_on = start is not None and saved is None
    del saved
    with divided(own, shares, partial(site_of, contender, data)) as clients:
        if going_on:
            replies = {member: standing.servers[member.seed].owed.get(member.scenario) for member in members}
            _keep_as_it_was(contender, data, clients, replies, folder)
        here = Here(contender, clients)
        train(contender, ground, here, standing, folder=folder, tell=tell, lengths=lengths, on_to=on_to)


def _without_network(
    contender: Contender, site: Site, data: EncodedData, seeds: tuple[int, ...], folder: Path, tell: Observer
) -> None:
    """Everything was said when the rows were read, or is what boosting makes of them; only then do seeds differ."""
    shutil.rmtree(folder, ignore_errors=True)
    tell(started(contender, seeds, 0))
    clients = begun(contender, site, seeds)
    if contender.start:
        _keep_as_it_was(contender, data, clients, dict.fromkeys(clients.memories), folder)
    orders = dict.fromkeys(clients.memories, Order(1, measure=0))
    measured_once(contender, contender.name, Here(contender, clients), orders, folder, tell)


def _keep_as_it_was(
    contender: Contender,
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
    assert contender.start is not None
    start, column = Start.open(contender.start), contender.as_it_was
    place = column_folders(contender, folder)[column]
    shutil.rmtree(place, ignore_errors=True)
    new = {member: not start.knows(contender, member.scenario) for member in replies}
    orders = {member: Order(1, reply=reply if new[member] else None, measure=0) for member, reply in replies.items()}
    site = clients.site
    if site.statistics is not None:
        rows, known = rows_as_it_was(contender, data, start)
        before = InProcess(replace(site, data=rows, statistics=known), dict(clients.memories))
        measured_once(contender, column, Here(contender, before), orders, place, ignore)
        clients(orders)
    else:
        measured_once(contender, column, Here(contender, clients), orders, place, ignore)
