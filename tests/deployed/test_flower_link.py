"""Questions over Flower's grid: who answers, who does not, and who cannot any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from msmtrec.deployed.messages import Asked, Begin, Do, Facts, Key, Refused
from msmtrec.record.events import Event, Note

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from msmtrec.deployed import flower_link
from msmtrec.deployed.flower_client import record_of
from msmtrec.deployed.flower_link import FlowerLink
from msmtrec.deployed.wire import answer_frame

IDS = {"a": 7, "b": 9}
DO = Do(Key("ours"), 0, 1, 0, orders={})
BEGIN = Begin("1", "{}", ("x",), ("x",))
ANSWER = Refused("user", "no")


def message(content: Any, *, dst_node_id: int, message_type: str) -> Any:
    """As Flower's: its own can only be made in a process that Flower has begun."""
    assert message_type == "query"
    return SimpleNamespace(content=content, metadata=SimpleNamespace(message_id="", dst_node_id=dst_node_id))


def reply(asked: Any, content: Any, error: Any = None) -> Any:
    metadata = SimpleNamespace(reply_to_message_id=asked.metadata.message_id)
    return SimpleNamespace(content=content, error=error, has_error=lambda: error is not None, metadata=metadata)


class Grid:
    """Of two nodes. At each look for answers, the next of `turns` happens.

    Args:
        turns: the last of them comes again and again.
    """

    def __init__(self, *turns: Callable[[Grid], None]) -> None:
        self.turns, self.looks, self.looks_for_nodes = turns, 0, 0
        self.online = {7: "at noon", 9: "at noon"}
        self.asked: dict[int, Any] = {}
        self.ready: list[Any] = []
        self.looked: set[str] = set()

    def get_nodes(self) -> list[Any]:
        self.looks_for_nodes += 1
        assert self.looks_for_nodes < 50, "it waits for ever"
        return [SimpleNamespace(node_id=node, last_activated_at=since) for node, since in self.online.items()]

    def push_messages(self, messages: Iterable[Any]) -> list[str]:
        (message,) = messages
        node = message.metadata.dst_node_id
        message.metadata.message_id = f"to {node}"
        self.asked[node] = message
        return [message.metadata.message_id]

    def pull_messages(self, message_ids: list[str]) -> list[Any]:
        """Looked for one by one; whoever is looked for again begins a turn."""
        (number,) = message_ids
        if not self.looked or number in self.looked:
            assert self.looks < 20, "it waits for ever"
            self.looked = set()
            self.turns[min(self.looks, len(self.turns) - 1)](self)
            self.looks += 1
        self.looked.add(number)
        found = [one for one in self.ready if one.metadata.reply_to_message_id == number]
        self.ready = [one for one in self.ready if one not in found]
        return found

    def answers(self, node: int) -> None:
        self.ready.append(reply(self.asked[node], record_of(answer_frame("do", ANSWER))))


def nothing(_grid: Grid) -> None: ...


def both(grid: Grid) -> None:
    grid.answers(9)
    grid.answers(7)


def asked(
    grid: Grid, monkeypatch: pytest.MonkeyPatch, what: Asked = DO, within: float = 3600.0, connect: float = 3600.0
) -> Any:
    """(answers, notes)"""
    monkeypatch.setattr(flower_link, "_POLL", 0.0)
    monkeypatch.setattr(flower_link, "_LOOK", 0.0)
    monkeypatch.setattr(flower_link, "Message", message)
    heard = list[Event]()
    flower: Any = grid
    link = FlowerLink(flower, IDS, "run", within=within, connect_within=connect, tell=heard.append)
    found = dict(link(dict.fromkeys(IDS, what)))
    return dict(found), [event.text for event in heard if isinstance(event, Note)]


def test_answers_are_heard_whoever_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(nothing, lambda grid: grid.answers(9), nothing, lambda grid: grid.answers(7))
    assert asked(grid, monkeypatch) == ({"a": ANSWER, "b": ANSWER}, [])
    assert grid.looks == 4


def test_an_error_and_what_is_no_answer_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(grid: Grid) -> None:
        grid.ready = [
            reply(grid.asked[9], None, SimpleNamespace(reason="it is gone")),
            reply(grid.asked[7], record_of(answer_frame("begin", Facts("", {}, timed=True)))),
        ]

    found, notes = asked(Grid(turn), monkeypatch)
    assert not found
    assert notes[1] == "node 'b': it is gone"
    assert notes[0].startswith("what node 'a' answered cannot be read: an answer to 'begin', and 'do' was asked")


def test_who_is_late_was_not_there_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(lambda grid: grid.answers(7), nothing)
    assert asked(grid, monkeypatch, within=1e-9) == ({"a": ANSWER}, [])


def test_elsewhere_nobody_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(nothing, nothing, nothing)
    with pytest.raises(AssertionError, match="it waits for ever"):
        asked(grid, monkeypatch, BEGIN, within=1e-9)


def back(grid: Grid) -> None:
    """Node b was away, and is there again."""
    grid.online[9] = "at one"


@pytest.mark.parametrize("what", [DO, BEGIN])
def test_nobody_waits_for_a_node_that_was_started_anew(what: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower says that a node is gone only to whoever looks while it is: it may be back before."""
    grid = Grid(lambda grid: grid.answers(7), back, nothing)
    notes = ["node 'b' was started anew and knows no more what it was asked"]
    assert asked(grid, monkeypatch, what) == ({"a": ANSWER}, notes)


def test_what_it_had_answered_before_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(lambda grid: grid.answers(7), back, lambda grid: grid.answers(9))
    assert asked(grid, monkeypatch) == ({"a": ANSWER, "b": ANSWER}, [])


def test_one_that_comes_after_the_question_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is still there for it."""
    grid = Grid(back, nothing, both)
    del grid.online[9]
    assert asked(grid, monkeypatch) == ({"a": ANSWER, "b": ANSWER}, [])


def test_one_that_came_and_went_again_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(lambda grid: grid.answers(7), back, lambda grid: grid.online.update({9: "at two"}), nothing)
    del grid.online[9]
    assert asked(grid, monkeypatch)[0] == {"a": ANSWER}


@pytest.mark.parametrize(("what", "connect", "there"), [(BEGIN, 3600.0, {7, 9}), (BEGIN, 1e-9, {7}), (DO, 3600.0, {7})])
def test_where_all_must_answer_one_that_is_gone_is_waited_for(
    what: Asked, connect: float, there: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be being started again; in a round, the round goes on without it."""

    class Coming(Grid):
        def get_nodes(self) -> list[Any]:
            if self.looks_for_nodes == 2:
                back(self)
            return super().get_nodes()

        def push_messages(self, messages: Iterable[Any]) -> list[str]:
            assert self.online.keys() == there
            return super().push_messages(messages)

    grid = Coming(both)
    del grid.online[9]
    asked(grid, monkeypatch, what, connect=connect)
