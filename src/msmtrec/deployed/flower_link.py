"""Nodes reached over Flower's grid."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from msmtrec.base.errors import UserError
from msmtrec.deployed.flower_client import WHO, frame_of, record_of
from msmtrec.deployed.messages import Answer, Asked, Do, kind_of
from msmtrec.deployed.settings import FederationSettings
from msmtrec.deployed.wire import asked_frame, read_answer
from msmtrec.record.events import Note, Observer, ignore

_LOOK = 1.0
"""Seconds between two looks at who is there."""


@dataclass(frozen=True)
class FlowerLink:
    """Implements `link.Link`.

    Args:
        ids: node -> its number in the grid.
        run: name of the run.
        within: seconds to wait for answers in a round; elsewhere there is no limit.
    """

    grid: Grid
    ids: Mapping[str, int]
    run: str
    _: KW_ONLY
    within: float
    tell: Observer = ignore

    def __call__(self, asked: Mapping[str, Asked]) -> Mapping[str, Answer]:
        messages = {
            node: Message(record_of(asked_frame(one, self.run)), dst_node_id=self.ids[node], message_type="query")
            for node, one in asked.items()
        }
        limit = self.within if any(isinstance(one, Do) for one in asked.values()) else None
        replies = list(self.grid.send_and_receive(messages.values(), timeout=limit))
        owner = {message.metadata.message_id: node for node, message in messages.items()}
        found: dict[str, Answer] = {}
        for reply in replies:
            node = owner[reply.metadata.reply_to_message_id]
            if reply.has_error():
                self.tell(Note(text=f"node '{node}': {reply.error.reason}"))
                continue
            try:
                found[node] = read_answer(kind_of(asked[node]), frame_of(reply.content))
            except (ValueError, KeyError) as error:
                self.tell(Note(text=f"what node '{node}' answered cannot be read: {error}"))
        return found


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
