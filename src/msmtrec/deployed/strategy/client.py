"""A scenario's side, for a ClientApp and a training loop of somebody else's: put in place, send up, answer.

Between messages a scenario's network lies in Flower's `context.state`, which never leaves the node: what stays local
goes on from there, and an offer is measured with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor, nn

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Parameters
from msmtrec.base.sentences import one_of
from msmtrec.deployed.strategy.measured import Losses, answer_offer
from msmtrec.deployed.strategy.records import (
    ANCHOR,
    ASKS,
    IDS,
    OWN,
    SCENARIO,
    TASKS,
    TOUCHES,
    WHO,
    Offered,
    arrays_of,
    packed,
    tensors_of,
    unpacked,
)

_KEPT, _BETAS = "msmtrec.network", "betas"
"""In the state of the context: the network, and mixtures that the second exchange remembers."""


@dataclass(frozen=True)
class Received:
    """What came with a message, after `put`.

    Args:
        round: that is trained, or that is evaluated.
        leaves: names of what goes up after training; `tables`, those of them that are averaged row by row.
        weight: of the local penalty; 0 where there is none.
        anchor: what it refers to.
    """

    message: Message
    context: Context
    _: KW_ONLY
    round: int
    leaves: tuple[str, ...]
    tables: tuple[str, ...]
    tasks: tuple[str, ...]
    weight: float
    anchor: Parameters

    def penalty(self, model: nn.Module) -> Tensor | float:
        """What the method adds to the local loss: weight · |W - anchor|², 0 where it adds nothing."""
        if not self.weight:
            return 0.0
        own = dict(model.named_parameters())
        apart = [(own[name] - value.to(own[name])).square().sum() for name, value in self.anchor.items()]
        return self.weight * torch.stack(apart).sum()


def put(model: nn.Module, message: Message, context: Context) -> Received:
    """Put in place what the scenario kept from its last training, and on top of it what the server sent.

    Args:
        message: to train or to evaluate.

    Raises:
        UserError: what came does not fit the network.
    """
    content = message.content
    own = content.config_records[OWN]
    arrays = tensors_of(content.array_records[str(own["arrays"])])
    _load(model, {**_kept(context), **arrays})
    anchor = tensors_of(content.array_records[ANCHOR]) if ANCHOR in content.array_records else {}
    return Received(
        message,
        context,
        round=int(str(own["round"])),
        leaves=tuple(arrays),
        tables=_names(own["tables"]),
        tasks=_names(own[TASKS]),
        weight=float(str(own["penalty"])),
        anchor=anchor,
    )


def upload_of(
    model: nn.Module,
    received: Received,
    *,
    rows: int,
    tasks: Sequence[str] | None = None,
    touches: Mapping[str, Tensor] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> Message:
    """The answer to a message to train: what travels, and no more. The whole network is kept for the next message.

    Args:
        rows: it trained on; means are weighted by them.
        tasks: that the scenario has labels of; without it all. Towers of others count nowhere.
        touches: table of the role shared-embedding -> [n], how often each of its rows was used in this round. Only
            rows that were used leave, and these are their weights in the mean. A table that is not named leaves whole,
            with the number of rows as weight.
        metrics: for the server's log.

    Raises:
        UserError: a task or table is none of the federation's.
    """
    for task in tasks or ():
        one_of(task, received.tasks, "tasks")
    state, counts = model.state_dict(), dict(touches or {})
    for name in counts:
        one_of(name, received.tables, "touches")
    used = {name: count.nonzero().squeeze(1).cpu() for name, count in counts.items()}
    sent = {name: state[name] for name in received.leaves}
    sent |= {name: state[name][ids.to(state[name].device)] for name, ids in used.items()}
    has = list(received.tasks if tasks is None else tasks)
    own = received.message.content.config_records[OWN]
    content = RecordDict(
        {
            str(own["arrays"]): arrays_of(sent),
            OWN: ConfigRecord({TASKS: has}),
            "metrics": MetricRecord({**(metrics or {}), str(own["rows"]): rows}),
        }
    )
    if used:
        content[IDS] = arrays_of(used)
        content[TOUCHES] = arrays_of({name: counts[name].cpu()[ids] for name, ids in used.items()})
    _keep(model, received.context, has, _betas(received.context))
    return Message(content, reply_to=received.message)


def answer(
    message: Message, context: Context, *, scenario: str, model: nn.Module | None = None, losses: Losses | None = None
) -> Message:
    """The answer to any question of the Strategy's: which scenario this is, and how much of a consensus it takes.

    Args:
        model: the network, with any values; those that were kept are put in place.
        losses: as in `measured.answer_offer`; methods without a second exchange ask for neither.

    Raises:
        UserError: an offer came, and there is no network or no loss to measure it with.
    """
    if message.content.config_records[OWN][ASKS] == WHO:
        return Message(RecordDict({OWN: ConfigRecord({SCENARIO: scenario})}), reply_to=message)
    if model is None or losses is None:
        raise UserError("the server offers a consensus; give `answer` the network and a loss on held-out rows")
    kept = _kept(context)
    if not kept:
        raise UserError("the server offers a consensus, and nothing is kept of the training; end that with `upload_of`")
    _load(model, kept)
    offered = unpacked(Offered, message.content)
    has = _names(context.state.config_records[OWN][TASKS])
    found = answer_offer(model, offered, losses, has, _betas(context))
    _keep(model, context, list(has), found.betas)
    return Message(packed(found.answer, "offer"), reply_to=message)


def _load(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Raises: UserError where the network has no such entry, or of another shape."""
    state = model.state_dict()
    for name, value in values.items():
        if name not in state or state[name].shape != value.shape:
            there = f"of shape {tuple(state[name].shape)}" if name in state else "none"
            raise UserError(f"'{name}' came with shape {tuple(value.shape)}, and the network has {there}")
    model.load_state_dict({**state, **values})


def _keep(model: nn.Module, context: Context, tasks: list[str], betas: Mapping[str, tuple[float, ...]]) -> None:
    context.state[_KEPT] = arrays_of(model.state_dict())
    context.state[OWN] = ConfigRecord({TASKS: tasks, _BETAS: json.dumps(betas)})


def _kept(context: Context) -> Parameters:
    return tensors_of(context.state.array_records.get(_KEPT) or ArrayRecord())


def _betas(context: Context) -> dict[str, tuple[float, ...]]:
    record = context.state.config_records.get(OWN)
    return {label: tuple(betas) for label, betas in json.loads(str(record[_BETAS])).items()} if record else {}


def _names(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(map(str, value))
