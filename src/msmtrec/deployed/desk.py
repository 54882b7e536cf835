"""A node's desk: frames in, frames out, for every run that the node takes part in."""

from __future__ import annotations

import logging
from pathlib import Path

from msmtrec.deployed.messages import Begin, Refused, kind_of
from msmtrec.deployed.node import Node
from msmtrec.deployed.settings import NodeSettings
from msmtrec.deployed.talk import Frame
from msmtrec.deployed.wire import answer_frame, read_asked
from msmtrec.record.directory import file_name

log = logging.getLogger("msmtrec.node")


class Desk:
    """Args:
    settings: of the node.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self.nodes: dict[str, Node] = {}

    @classmethod
    def open(cls, path: Path) -> Desk:
        """Of a node's file; errors as `NodeSettings.load`."""
        return cls(NodeSettings.load(path))

    def __call__(self, frame: Frame) -> Frame:
        """Never raises."""
        try:
            run, asked = read_asked(frame)
        except ValueError as error:
            log.error("what came is no question of this version: %s", error)
            return answer_frame("", Refused("user", "a node does not understand what it is asked; install the same"))
        if run not in self.nodes or isinstance(asked, Begin):
            own = self.settings
            self.nodes[run] = Node(own.folder / file_name(run), own.data, own.scenarios, own.cache)
        return answer_frame(kind_of(asked), self.nodes[run](asked))
