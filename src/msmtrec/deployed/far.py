"""The scenarios of a training, on nodes that are reached by messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.deployed.link import Link, all_of
from msmtrec.deployed.messages import Do, Done, Keep, Kept, Key, Refused
from msmtrec.federation import checkpoint as snapshots
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.rounds import Standing
from msmtrec.record.directory import VALIDATION, write_json

S = TypeVar("S")
Nodes = Mapping[str, tuple[str, ...]]
"""Node -> the scenarios that it has."""


@dataclass(frozen=True)
class FarCheckpoint(Generic[S]):
    """What the server goes on from; memories are with the nodes.

    Args:
        after: node -> the last exchange that it answered; number: the last there was.
        lengths: of the files that are written line by line.
    """

    standing: Standing[S]
    after: Mapping[str, int]
    number: int
    lengths: Mapping[str, int]


@dataclass
class Far:
    """Implements `scenarios.Scenarios`.

    Args:
        after: node -> the last exchange that it answered: its memories are those of then.
        number: of the last exchange.
    """

    link: Link
    nodes: Nodes
    key: Key
    _: KW_ONLY
    after: dict[str, int] = field(default_factory=dict)
    number: int = 0
    durable: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.after = {node: self.after.get(node, 0) for node in self.nodes}
        self.durable = dict(self.after)
        self._owner = {name: node for node, names in self.nodes.items() for name in names}

    def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
        """Reports of nodes that answered; of a node that refused, none, and its memories count as they were."""
        self.number += 1
        own: dict[str, dict[Member, Order]] = {}
        for member, order in orders.items():
            own.setdefault(self._owner[member.scenario], {})[member] = order
        asked = {
            node: Do(self.key, self.after[node], self.number, self.durable[node], orders=mine)
            for node, mine in own.items()
        }
        found: dict[Member, Report] = {}
        for node, answer in self.link(asked).items():
            if isinstance(answer, Refused):
                raise UserError(answer.sentence)
            if isinstance(answer, Done) and not _foreign(answer, own[node]):
                self.after[node] = self.number
                found |= answer.reports
        return {member: found[member] for member in orders if member in found}

    def checkpoint(self, folder: Path, standing: Standing[Any], lengths: Mapping[str, int]) -> None:
        place = folder / f"round-{standing.round:05d}"
        snapshots.write(place, FarCheckpoint(standing, dict(self.after), self.number, lengths))
        snapshots.only(place)
        self.durable = dict(self.after)

    def keep(self, column: str, members: Sequence[Member], folder: Path) -> None:
        asked = {node: Keep(self.key, column, self.after[node]) for node in self.nodes}
        kept = all_of(self.link, asked, Kept)
        place = {member: number for number, member in enumerate(members)}
        chosen = [entry for answer in kept.values() for entry in json.loads(answer.chosen)]
        chosen.sort(key=lambda entry: place[Member(entry["seed"], entry["scenario"])])
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / VALIDATION, chosen)


def _foreign(answer: Done, orders: Mapping[Member, Order]) -> bool:
    """Whether a node speaks for scenarios that are not its own, or leaves some out."""
    if answer.reports.keys() != orders.keys():
        return True
    return any(
        (report.upload is not None and report.upload.scenario != member.scenario)
        or any(name != member.scenario for name in report.best)
        for member, report in answer.reports.items()
    )
