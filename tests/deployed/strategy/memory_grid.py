"""A Flower grid in this process: messages are copied, answers come in another order, and nodes may fail or lie."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1  # messages ask for them
Change = Callable[[Message], Message | None]


class MemoryGrid(Grid):
    """Args:
    apps: node -> its app; the contexts of nodes are kept from message to message, as Flower does.
    """

    def __init__(self, apps: dict[int, ClientApp], names: dict[int, str] | None = None) -> None:
        self.apps, self.names = apps, names or {}
        self.contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in apps}
        self.away: set[int] = set()
        self.change: dict[int, Change] = {}
        self.asked: list[Message] = []
        self.answered: list[Message] = []
        self._numbers: Iterator[int] = itertools.count(1)

    def get_node_ids(self) -> Iterable[int]:
        return [node for node in self.apps if node not in self.away]

    def get_nodes(self) -> Iterable[NodeInfo]:
        return [NodeInfo(node_id=node, name=self.names.get(node, "")) for node in self.get_node_ids()]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        assert isinstance(messages, list)  # what Flower's own grid takes
        found = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = f"message-{next(self._numbers)}"
            self.asked.append(copy.deepcopy(message))
            answer = self._answer(message)
            if answer is not None:
                self.answered.append(answer)
                found.append(copy.deepcopy(answer))
        return reversed(found)

    def _answer(self, message: Message) -> Message | None:
        node = message.metadata.dst_node_id
        if node in self.away:
            return None
        try:
            answer: Message | None = self.apps[node](copy.deepcopy(message), self.contexts[node])
        except Exception as error:  # noqa: BLE001 -- as a SuperNode does
            return Message(Error(code=0, reason=str(error)), reply_to=message)
        return self.change.get(node, lambda same: same)(answer) if answer is not None else None

    # nothing of the rest is used

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *_: Any, **__: Any) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError
