"""Nodes on this machine, reached by bytes; they can be killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msmtrec.base.packing import pack, unpack
from msmtrec.deployed.messages import ASKED, Answer, Asked, Refused, kind_of
from msmtrec.deployed.node import Node


def wired(kind: Any, value: Any) -> Any:
    """As JSON, and tensors with memory of their own."""
    tensors, plain = pack(value)
    return unpack(kind, {name: one.clone() for name, one in tensors.items()}, json.loads(json.dumps(plain)))


class Pretend:
    """Implements `link.Link`. Whoever raises Gone does not answer.

    Args:
        make: node -> a new one on its folder.
        before, after: hear what is asked, and what a node has answered; they may raise Gone, or kill a node.
    """

    def __init__(self, make: Mapping[str, Callable[[], Node]]) -> None:
        self.make, self.nodes = make, {name: one() for name, one in make.items()}
        self.before: Callable[[str, Asked], None] = lambda _node, _asked: None
        self.after: Callable[[str, Answer], None] = lambda _node, _answer: None

    def kill(self, node: str) -> None:
        """And begin it again: all that it had in memory is gone."""
        self.nodes[node] = self.make[node]()

    def __call__(self, asked: Mapping[str, Asked]) -> Iterable[tuple[str, Answer]]:
        found = {}
        for name in reversed(asked):  # who answers first does not matter
            kind = kind_of(asked[name])
            try:
                self.before(name, asked[name])
                answer = self.nodes[name](wired(ASKED[kind][0], asked[name]))
                self.after(name, answer)
            except Gone:
                continue
            found[name] = wired(Refused if isinstance(answer, Refused) else ASKED[kind][1], answer)
        return [(name, found[name]) for name in asked if name in found]


class Gone(Exception):
    """A node was killed before its answer had left it."""


def nodes_of(folder: Path, data: Mapping[str, Any], own: Mapping[str, tuple[str, ...]]) -> Pretend:
    """own: node -> its scenarios."""

    def maker(name: str) -> Callable[[], Node]:
        return lambda: Node(folder / name, data, own[name], folder / f"{name}-cache")

    return Pretend({name: maker(name) for name in own})
