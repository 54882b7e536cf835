"""The scenarios of a training, on nodes that are reached by messages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from msmtrec.base.errors import UserError
from msmtrec.base.finite import all_finite
from msmtrec.base.member import Member
from msmtrec.deployed.link import Link, all_of
from msmtrec.deployed.messages import Answer, Do, Done, Keep, Kept, Key, Refused
from msmtrec.deployed.trust import records
from msmtrec.federation import checkpoint as snapshots
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.standing import Standing
from msmtrec.methods.base import Upload
from msmtrec.record.directory import VALIDATION, write_json
from msmtrec.record.events import Note, Observer, ignore

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
        quorum: nodes that must answer in an exchange; all that are asked, where these are fewer.
        tell: hears of those that did not.
    """

    link: Link
    nodes: Nodes
    key: Key
    _: KW_ONLY
    after: dict[str, int] = field(default_factory=dict)
    number: int = 0
    durable: dict[str, int] = field(default_factory=dict)
    quorum: int = 1
    tell: Observer = ignore

    def __post_init__(self) -> None:
        self.after = {node: self.after.get(node, 0) for node in self.nodes}
        self.durable = dict(self.after)
        self._owner = {name: node for node, names in self.nodes.items() for name in names}

    def __call__(self, orders: Mapping[Member, Order]) -> Iterator[tuple[Member, Report]]:
        """Reports of nodes that answered. Of one that did not, or refused, none, and its memories count as they were.

        As nodes stand in the order of the tables, so do the reports of a seed.

        Raises:
            UserError: fewer than `quorum` of the nodes that were asked did.
        """
        self.number += 1
        own: dict[str, dict[Member, Order]] = {}
        for member, order in orders.items():
            own.setdefault(self._owner[member.scenario], {})[member] = order
        asked = {
            node: Do(self.key, self.after[node], self.number, self.durable[node], orders=own[node])
            for node in self.nodes
            if node in own
        }
        silent, answered = dict.fromkeys(asked), 0
        for node, answer in self.link(asked):
            del silent[node]
            if done := self._usable(node, answer, own[node]):
                self.after[node], answered = self.number, answered + 1
                yield from ((member, _checked(done.reports[member])) for member in own[node])
            del done, answer  # gone before the next one comes
        for node in silent:
            self._without(f"node '{node}' ({self._names(node)}), which did not answer")
        if answered < min(self.quorum, len(asked)):
            raise UserError(
                f"exchange {self.number} of {self.key.contender}: {answered} of {len(asked)} nodes answered, and"
                f" {self.quorum} must; see that they run, then run it again: it goes on"
            )

    def _usable(self, node: str, answer: Answer, orders: Mapping[Member, Order]) -> Done | None:
        """None of an answer that cannot be used, and a note says why."""
        if isinstance(answer, Refused):
            self._without(f"node '{node}': {answer.sentence}")
        elif not isinstance(answer, Done) or _foreign(answer, orders):
            self._without(f"node '{node}' ({self._names(node)}), whose answer is not to what it was asked")
        else:
            return answer
        return None

    def _names(self, node: str) -> str:
        return ", ".join(f"'{name}'" for name in self.nodes[node])

    def _without(self, whom: str) -> None:
        self.tell(Note(text=f"exchange {self.number} of {self.key.contender} goes on without {whom}"))

    def checkpoint(self, folder: Path, standing: Standing[Any], lengths: Mapping[str, int]) -> None:
        saved = FarCheckpoint(standing, dict(self.after), self.number, lengths)
        snapshots.write_round(folder, standing.round, saved)
        self.durable = dict(self.after)

    def keep(self, column: str, members: Sequence[Member], folder: Path) -> None:
        asked = {node: Keep(self.key, column, self.after[node]) for node in self.nodes}
        kept, seeds = all_of(self.link, asked, Kept), {member.seed for member in members}
        place = {member: number for number, member in enumerate(members)}
        chosen = [one for node, own in kept.items() for one in records(node, self.nodes[node], seeds, own.chosen)]
        if len(chosen) != len(members):
            raise UserError("a node speaks twice of a scenario; do all run the same version?")
        chosen.sort(key=lambda entry: place[Member(entry["seed"], entry["scenario"])])
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / VALIDATION, chosen)


def _checked(report: Report) -> Report:
    """Without an upload in which a number is none: a node ought to have held it back, but who knows what it runs."""
    upload = report.upload
    if upload is not None and (why := _no_number(upload)):
        return replace(report, upload=None, refused=f"scenario '{upload.scenario}' {why}")
    return report


def _no_number(upload: Upload) -> str | None:
    for name, value in (entry for slot in upload.slots.values() for entry in slot.items()):
        if not all_finite(value):
            return f"sent '{name}' with NaN or infinite values"
    return None if 0 <= upload.norm < math.inf else f"says that its update is {upload.norm} long"


def _foreign(answer: Done, orders: Mapping[Member, Order]) -> bool:
    """Whether a node speaks for scenarios that are not its own, or leaves some out."""
    if answer.reports.keys() != orders.keys():
        return True
    return any(
        (report.upload is not None and report.upload.scenario != member.scenario)
        or any(name != member.scenario for name in report.best)
        for member, report in answer.reports.items()
    )
