"""Nodes reached over Flower's grid."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from msmtrec.base.errors import UserError
from msmtrec.deployed.flower_client import WHO, frame_of, record_of
from msmtrec.deployed.messages import Answer, Asked, Do, kind_of
from msmtrec.deployed.settings import FederationSettings
from msmtrec.deployed.wire import asked_frame, read_answer
from msmtrec.record.events import Note, Observer, ignore

_LOOK, _POLL = 1.0, 0.2
"""Seconds between two looks at who is there; at whether answers are."""
_AHEAD = 3
"""Answers that may be held before it is their turn; all others stay at the SuperLink meanwhile."""


@dataclass(frozen=True)
class FlowerLink:
    """Implements `link.Link`.

    Args:
        ids: node -> its number in the grid.
        run: name of the run.
        within: seconds to wait for answers in a round; elsewhere there is no limit.
        connect_within: seconds to wait for nodes that are not connected where all must answer: before and after the
            rounds.
    """

    grid: Grid
    ids: Mapping[str, int]
    run: str
    _: KW_ONLY
    within: float
    connect_within: float
    tell: Observer = ignore

    def __call__(self, asked: Mapping[str, Asked]) -> Iterator[tuple[str, Answer]]:
        in_round, found = any(isinstance(one, Do) for one in asked.values()), dict[str, Answer]()
        since = self._since() if in_round else self._all_there(asked)
        waiting = dict(self._sent(asked))
        end = time.monotonic() + (self.within if in_round else math.inf)
        turns = list(asked)
        while turns:
            began, last, quiet = time.monotonic(), time.monotonic() > end, True
            anew = self._anew(since)  # before answers are looked for: what a node has sent, it has
            for node in tuple(turns):
                if node in waiting and (node == turns[0] or len(found) < _AHEAD):
                    heard = self._heard(waiting[node], node, kind_of(asked[node]), found)
                    quiet = quiet and not heard
                    if not heard and node in anew:
                        self.tell(Note(text=f"node '{node}' was started anew and knows no more what it was asked"))
                    if heard or node in anew or last:
                        del waiting[node]
                while turns and turns[0] not in waiting:
                    quiet = False
                    if (turn := turns.pop(0)) in found:
                        yield turn, found.pop(turn)
            if quiet:
                time.sleep(max(_POLL, 4 * (time.monotonic() - began)))  # looking takes a fifth of the time at most

    def _sent(self, asked: Mapping[str, Asked]) -> Iterator[tuple[str, str]]:
        """(node, message) of what went out. Messages can be large: one is made when the one before is gone."""
        for node, one in asked.items():
            content = record_of(asked_frame(one, self.run))
            message = Message(content, dst_node_id=self.ids[node], message_type="query")
            yield from ((node, number) for number in self.grid.push_messages([message]) if number)

    def _heard(self, number: str, node: str, kind: str, found: dict[str, Answer]) -> bool:
        """Whether there is a reply to a message. Of all replies only this one is in memory, beside answers in `found`:
        `grid.send_and_receive` would hold all of them, and looks every three seconds only."""
        replies = list(self.grid.pull_messages([number]))
        for reply in replies:
            if reply.has_error():
                self.tell(Note(text=f"node '{node}': {reply.error.reason}"))
                continue
            try:
                found[node] = read_answer(kind, frame_of(reply.content))
            except (ValueError, KeyError) as error:
                self.tell(Note(text=f"what node '{node}' answered cannot be read: {error}"))
        return bool(replies)

    def _since(self) -> dict[str, str]:
        """Node that is online -> when it came to be."""
        there = {one.node_id: one.last_activated_at for one in self.grid.get_nodes()}
        return {node: there[number] for node, number in self.ids.items() if number in there}

    def _all_there(self, nodes: Iterable[str]) -> dict[str, str]:
        """The same once all of them are, or as many as have come in time: one may be being started again."""
        end = time.monotonic() + self.connect_within
        while True:
            since = self._since()
            if since.keys() >= {*nodes} or time.monotonic() > end:
                return since
            time.sleep(_LOOK)

    def _anew(self, since: dict[str, str]) -> set[str]:
        """Nodes that went and came back since; those that were not there before are noted, they have yet to be asked.

        A message that a node has fetched is lost with it. Flower says so while the node is offline, and if nobody
        looks then it never does.
        """
        return {node for node, moment in self._since().items() if since.setdefault(node, moment) != moment}


def connected(grid: Grid, settings: FederationSettings) -> dict[str, int]:
    """Node -> its number in the grid, once all of them are there.

    Raises:
        UserError: one is not there in time, or somebody else is.
    """
    end = time.monotonic() + settings.connect_within
    while True:
        found = _claimed(grid) if settings.identity == "claimed" else registered(grid)
        lacking = [name for name in settings.nodes if name not in found]
        if not lacking:
            return {name: found[name] for name in settings.nodes}
        if time.monotonic() > end:
            there = ", ".join(sorted(found)) or "nobody"
            raise UserError(f"node '{lacking[0]}' is not connected; there: {there}")
        time.sleep(_LOOK)


def registered(grid: Grid) -> dict[str, int]:
    """By the names under which their keys were registered: who has the key is who it says.

    Raises:
        UserError: two keys have one name, and it cannot be known whose it is.
    """
    found: dict[str, int] = {}
    for node in grid.get_nodes():  # those that are online
        if node.name in found:
            both = f"{found[node.name]} and {node.node_id}"
            raise UserError(f"SuperNodes {both} are both registered as '{node.name}'; unregister one of them")
        if node.name:
            found[node.name] = node.node_id
    return found


def _claimed(grid: Grid) -> dict[str, int]:
    """By what they say, for trials where nobody has a key."""
    asked = [
        Message(RecordDict({WHO: ConfigRecord({"name": ""})}), dst_node_id=number, message_type="query")
        for number in grid.get_node_ids()
    ]
    found: dict[str, int] = {}
    for reply in grid.send_and_receive(asked, timeout=60.0) if asked else ():
        if not reply.has_error():
            found[str(reply.content.config_records[WHO]["name"])] = reply.metadata.src_node_id
    return found
