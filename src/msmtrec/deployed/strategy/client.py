"""A scenario's side, for a ClientApp and a training loop of somebody else's: put in place, send up, answer.

Between messages a scenario's network is kept at its node: what stays local goes on from there, and an offer is measured
with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import torch
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor, nn

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Parameters
from msmtrec.base.sentences import one_of
from msmtrec.deployed.strategy.kept import Keeper, Kept
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


@dataclass(frozen=True)
class Received:
    """What came with a message, after `put`.

    Args:
        round: that is trained, or that is evaluated.
        leaves: names of what goes up after training; `tables`, those of them that are averaged row by row.
        weight: of the local penalty; 0 where there is none.
        anchor: what it refers to.
        betas: mixtures that the second exchange remembers.
    """

    message: Message
    keeper: Keeper
    _: KW_ONLY
    round: int
    leaves: tuple[str, ...]
    tables: tuple[str, ...]
    tasks: tuple[str, ...]
    weight: float
    anchor: Parameters
    betas: Mapping[str, tuple[float, ...]]

    def penalty(self, model: nn.Module) -> Tensor | float:
        """What the method adds to the local loss: weight · |W - anchor|², 0 where it adds nothing."""
        if not self.weight:
            return 0.0
        own = dict(model.named_parameters())
        apart = [(own[name] - value.to(own[name])).square().sum() for name, value in self.anchor.items()]
        return self.weight * torch.stack(apart).sum()


def put(model: nn.Module, message: Message, context: Context, *, folder: str | Path | None = None) -> Received:
    """Put in place what the scenario kept from its last training, and on top of it what the server sent.

    Args:
        message: to train or to evaluate.
        folder: of this scenario alone, in which it keeps its network; without it that lies in `context.state`, which
            neither a new run has nor a node that was started again.

    Raises:
        UserError: what came, or was kept, does not fit the network.
    """
    content = message.content
    own = content.config_records[OWN]
    arrays = tensors_of(content.array_records[str(own["arrays"])])
    number, keeper = int(str(own["round"])), _keeper(context, folder)
    training = message.metadata.message_type == "train"  # perhaps once more, after the server was begun again
    kept = keeper.after(number - training)
    _load(model, {**kept.network, **arrays})
    anchor = tensors_of(content.array_records[ANCHOR]) if ANCHOR in content.array_records else {}
    return Received(
        message,
        keeper,
        round=number,
        leaves=tuple(arrays),
        tables=_names(own["tables"]),
        tasks=_names(own[TASKS]),
        weight=float(str(own["penalty"])),
        anchor=anchor,
        betas=kept.betas,
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
    has = received.tasks if tasks is None else tuple(tasks)
    own = received.message.content.config_records[OWN]
    content = RecordDict(
        {
            str(own["arrays"]): arrays_of(sent),
            OWN: ConfigRecord({TASKS: list(has)}),
            "metrics": MetricRecord({**(metrics or {}), str(own["rows"]): rows}),
        }
    )
    if used:
        content[IDS] = arrays_of(used)
        content[TOUCHES] = arrays_of({name: counts[name].cpu()[ids] for name, ids in used.items()})
    received.keeper.keep(received.round, Kept(dict(state), tasks=has, betas=received.betas))
    return Message(content, reply_to=received.message)


def answer(
    message: Message,
    context: Context,
    *,
    scenario: str,
    model: nn.Module | None = None,
    losses: Losses | None = None,
    folder: str | Path | None = None,
) -> Message:
    """The answer to any question of the Strategy's: which scenario this is, and how much of a consensus it takes.

    Args:
        model: the network, with any values; those that were kept are put in place.
        losses: as in `measured.answer_offer`; methods without a second exchange ask for neither.
        folder: as in `put`.

    Raises:
        UserError: an offer came, and there is no network or no loss to measure it with.
    """
    if message.content.config_records[OWN][ASKS] == WHO:
        return Message(RecordDict({OWN: ConfigRecord({SCENARIO: scenario})}), reply_to=message)
    if model is None or losses is None:
        raise UserError("the server offers a consensus; give `answer` the network and a loss on held-out rows")
    offered, keeper = unpacked(Offered, message.content), _keeper(context, folder)
    kept = keeper.after(offered.round)
    if not kept.network:
        raise UserError("the server offers a consensus, and nothing is kept of the training; end that with `upload_of`")
    _load(model, kept.network)
    found = answer_offer(model, offered, losses, kept.tasks, kept.betas)
    keeper.keep(offered.round, Kept(dict(model.state_dict()), tasks=kept.tasks, betas=found.betas))
    return Message(packed(found.answer, "offer"), reply_to=message)


def _load(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Raises: UserError where the network has no such entry, or of another shape."""
    state = model.state_dict()
    for name, value in values.items():
        if name not in state or state[name].shape != value.shape:
            there = f"of shape {tuple(state[name].shape)}" if name in state else "none"
            raise UserError(f"'{name}' came with shape {tuple(value.shape)}, and the network has {there}")
    model.load_state_dict({**state, **values})


def _keeper(context: Context, folder: str | Path | None) -> Keeper:
    return Keeper(context, None if folder is None else Path(folder))


def _names(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(map(str, value))
