"""What a contender's training stands on: network, method, rows and first parameters of every scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.config.contender import Contender
from msmtrec.config.train import TrainSettings
from msmtrec.data.table import EncodedData
from msmtrec.experiment.devices import automatic, lacking
from msmtrec.experiment.known import known_rows, network
from msmtrec.experiment.start import Start
from msmtrec.experiment.steps import training_size
from msmtrec.federation.deck import Deck
from msmtrec.federation.narrow import Wire
from msmtrec.federation.site import Site
from msmtrec.models.base import Model
from msmtrec.statistics.encoded import Statistics


def site_of(contender: Contender, data: EncodedData, start: Start | None = None) -> Site:
    """Errors as those of `training_size` and `known_rows`; UserError too where this machine lacks the device.

    start: a run that newcomers of `data` join; the contender's own unless said.
    """
    start = start or (Start.open(contender.start) if contender.start else None)
    data, statistics = known_rows(contender, data, start)
    return site_on(contender, data, statistics)


def site_on(
    contender: Contender,
    data: EncodedData,
    statistics: Statistics | None,
    everybody: Mapping[str, int] | None = None,
) -> Site:
    """Of rows with what they read of their ids; arguments as in `training_size`, errors as `site_of`."""
    model, train = network(contender, data.layout), contender.train
    sizes = training_size(train, data, everybody)
    return Site(
        data=data,
        deck=Deck(data, _dtype(train), _device(train.device), arithmetic=_arithmetic(train)),
        model=model,
        method=contender.settings.build(model.declare()),
        batches={name: size.batch for name, size in sizes.items()},
        steps={name: size.steps for name, size in sizes.items()},
        rate=train.learning_rate,
        decay=train.weight_decay,
        lazy=train.lazy_embeddings,
        balance=train.balance.build(),
        fine_tune_rate=contender.fine_tune.learning_rate if contender.fine_tune else None,
        stack=train.stack,
        held_out_limit=train.held_out_limit,
        wire=wire_of(train),
        statistics=statistics,
        has_head=contender.has_head,
    )


def wire_of(train: TrainSettings) -> Wire:
    return Wire(train.wire, train.top_k)


def _dtype(train: TrainSettings) -> torch.dtype:
    return torch.float32 if train.dtype == "float32" else torch.float64


def _arithmetic(train: TrainSettings) -> torch.dtype:
    return torch.bfloat16 if train.precision == "bf16" else _dtype(train)


def common_parameters(contender: Contender, model: Model, seeds: Sequence[int]) -> dict[int, Parameters]:
    """Seed -> what all scenarios of its federation begin with: everything but their private tables."""
    found, roles = {}, model.roles()
    for seed in seeds:
        drawn = model.initialise(seed, "", 0, _dtype(contender.train))
        found[seed] = {name: value for name, value in drawn.items() if roles[name] is not Role.EMBEDDING}
    return found


def first_parameters(
    contender: Contender, model: Model, data: EncodedData, common: Mapping[int, Parameters]
) -> dict[Member, Parameters]:
    """Each member's first parameters; all but the private tables are one and the same for a federation."""
    kind, rows = _dtype(contender.train), {name: table.private_rows for name, table in data.tables.items()}
    return {
        Member(seed, name): model.initialise(seed, name, rows[name], kind, drawn)
        for seed, drawn in common.items()
        for name in data.scenarios
    }


def _device(name: str) -> torch.device:
    name = automatic() if name == "auto" else name
    if sentence := lacking(name):
        raise UserError(sentence)
    return torch.device(name)
