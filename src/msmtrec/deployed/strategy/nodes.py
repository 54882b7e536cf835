"""Which node is which scenario: by the name of its key, or by what it says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from msmtrec.base.errors import nearest
from msmtrec.deployed.flower_link import registered
from msmtrec.deployed.strategy.records import ASKS, OWN, SCENARIO, WHO

log = logging.getLogger("flwr")


@dataclass
class Nodes:
    """Args:
    scenarios: that may take part, in the order in which they count; empty: whoever is there, by name.
    identity: `claimed`: a node is who it says, when it is asked; `registered`: who its key was registered as.
    """

    scenarios: tuple[str, ...]
    identity: str
    _: KW_ONLY
    _known: dict[int, str] = field(default_factory=dict)

    def present(self, grid: Grid, timeout: float) -> dict[str, int]:
        """Scenario -> its node, of those connected, in their order.

        Raises:
            UserError: two registered keys have one name.
        """
        if self.identity == "registered":
            found = registered(grid)
        else:
            there = set(grid.get_node_ids())
            self._known = {node: name for node, name in self._known.items() if node in there}
            self._ask(grid, sorted(there - self._known.keys()), timeout)
            found = {name: node for node, name in self._known.items()}
        return {name: found[name] for name in self.scenarios or sorted(found) if name in found}

    def _ask(self, grid: Grid, nodes: list[int], timeout: float) -> None:
        """Those that are new say who they are; who was there before keeps a name."""
        asked = [
            Message(RecordDict({OWN: ConfigRecord({ASKS: WHO})}), dst_node_id=node, message_type="query")
            for node in nodes
        ]
        said = dict[int, str]()
        if asked:
            replies = list(grid.send_and_receive(asked, timeout=timeout))
            owner = {message.metadata.message_id: message.metadata.dst_node_id for message in asked}
            for reply in replies:
                node = owner[reply.metadata.reply_to_message_id]
                if reply.has_error():
                    log.warning("node %d does not say which scenario it is: %s", node, reply.error.reason)
                else:
                    said[node] = _name(reply.content.config_records)
        for node, name in sorted(said.items()):
            if fault := self._fault(name):
                log.warning("node %d says that it is scenario '%s'; %s; it is left out", node, name, fault)
            else:
                self._known[node] = name

    def _fault(self, name: str) -> str | None:
        if not name:
            return "that is no name"
        if self.scenarios and name not in self.scenarios:
            return nearest(name, self.scenarios)
        other = next((node for node, known in self._known.items() if known == name), None)
        return f"node {other} is that already" if other is not None else None


def _name(records: Mapping[str, ConfigRecord]) -> str:
    found = records[OWN].get(SCENARIO) if OWN in records else None
    return found if isinstance(found, str) else ""
