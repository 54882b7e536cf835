"""How answers come over Flower's grid: one at a time, as soon as they are there, and none for ever."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from msmtrec.base.member import Member
from msmtrec.federation.messages import Order

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from msmtrec.deployed import flower_link
from msmtrec.deployed.flower_client import frame_of, record_of
from msmtrec.deployed.flower_link import FlowerLink
from msmtrec.deployed.messages import Asked, Do, Done, End, Ended, Key
from msmtrec.deployed.wire import answer_frame, read_asked
from msmtrec.record.events import Event, Note

DO = Do(Key("fedavg"), 0, 1, 0, orders={Member(0, "x"): Order(1)})


class Grid:
    """Nodes that answer after so many looks; the first number of a grid is 1.

    Args:
        after: node's number -> looks, or what it answers instead.
    """

    def __init__(self, after: dict[int, Any]) -> None:
        self.after, self.numbers = after, count(1)
        self.open: dict[str, Any] = {}
        self.looks: dict[str, int] = {}
        self.alive: list[int] = []

    def get_nodes(self) -> list[Any]:
        return [SimpleNamespace(node_id=node, last_activated_at="noon") for node in self.after]

    def push_messages(self, messages: Iterable[Any]) -> list[str | None]:
        (message,) = messages
        if self.after[message.dst] is None:
            return [None]
        number = f"m{next(self.numbers)}"
        self.open[number] = message
        return [number]

    def pull_messages(self, numbers: Iterable[str]) -> list[Any]:
        (number,) = numbers
        message, looks = self.open[number], self.looks.get(number, 0)
        self.looks[number] = looks + 1
        after = self.after[message.dst]
        if isinstance(after, int) and looks < after:
            return []
        del self.open[number]
        if isinstance(after, str):
            return [SimpleNamespace(has_error=lambda: True, error=SimpleNamespace(reason=after))]
        _, asked = read_asked(frame_of(message.content))
        answer = Done({}) if isinstance(asked, Do) else Ended()
        content = record_of(answer_frame("do" if isinstance(asked, Do) else "end", answer))
        return [Reply(content, self.alive)]


class Reply:
    """Knows how many of its kind there are."""

    def __init__(self, content: Any, alive: list[int]) -> None:
        self.content, self._alive = content, alive
        alive.append(alive[-1] + 1 if alive else 1)

    def __del__(self) -> None:
        self._alive.append(self._alive[-1] - 1)

    def has_error(self) -> bool:
        return False


class Sent:
    """Flower's own can only be made in a run."""

    def __init__(self, content: Any, dst_node_id: int, message_type: str) -> None:
        self.content, self.dst, self.message_type = content, dst_node_id, message_type


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower_link, "_POLL", 0.001)
    monkeypatch.setattr(flower_link, "Message", Sent)


def link(grid: Any, told: list[Event], within: float = 60.0) -> FlowerLink:
    ids = {"abcdefgh"[number - 1]: number for number in grid.after}
    return FlowerLink(grid, ids, "run", within=within, connect_within=60.0, tell=told.append)


def asked(one: Asked, nodes: str = "abc") -> dict[str, Asked]:
    return dict.fromkeys(nodes, one)


def test_all_answers_come_however_late_and_only_one_is_held_as_it_came() -> None:
    told: list[Event] = []
    grid = Grid({1: 3, 2: 0, 3: 1})
    assert list(link(grid, told)(asked(DO))) == [("a", Done({})), ("b", Done({})), ("c", Done({}))]
    assert max(grid.alive) == 1
    assert grid.looks == {"m1": 4, "m2": 1, "m3": 2}  # nobody is asked for again who has answered
    assert told == []


def test_answers_come_in_turn_and_few_are_fetched_before_theirs() -> None:
    grid = Grid({1: 5, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0})
    found = []
    for node, _ in link(grid, [])(asked(DO, "abcdef")):
        if not found:
            assert grid.looks == {"m1": 6, "m2": 1, "m3": 1, "m4": 1}
        found.append(node)
    assert found == [*"abcdef"]
    assert set(grid.looks.values()) == {6, 1}


def test_fetching_is_not_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to fetch what is there, the next look is not put off for it."""
    slept: list[float] = []
    monkeypatch.setattr(flower_link.time, "sleep", slept.append)
    grid = Grid({1: 3, 2: 0, 3: 0})
    pull = grid.pull_messages

    def slow(numbers: Iterable[str]) -> list[Any]:
        found = pull(numbers)
        end = time.monotonic() + (0.05 if found else 0)
        while time.monotonic() < end:
            pass
        return found

    monkeypatch.setattr(grid, "pull_messages", slow)
    assert list(dict(link(grid, [])(asked(DO)))) == [*"abc"]
    assert len(slept) == 2  # not after the first look, which has found two answers
    assert max(slept) < 0.05


def test_those_that_nobody_fetched_in_time_are_fetched_when_it_is_over() -> None:
    grid = Grid({1: 10**9, 2: 0, 3: 0, 4: 10**9, 5: 0, 6: 0, 7: 0})
    assert list(dict(link(grid, [], within=0.05)(asked(DO, "abcdefg")))) == [*"bcefg"]


def test_who_does_not_answer_in_time_is_left_out_of_a_round() -> None:
    assert dict(link(Grid({1: 2000, 2: 0, 3: 0}), [], within=0.05)(asked(DO))).keys() == {"b", "c"}


def test_elsewhere_there_is_no_limit() -> None:
    assert dict(link(Grid({1: 20, 2: 0, 3: 0}), [], within=1e-9)(asked(End({})))).keys() == {"a", "b", "c"}


def test_a_message_that_cannot_go_out_is_not_waited_for() -> None:
    assert dict(link(Grid({1: None, 2: 0, 3: 0}), [])(asked(End({})))).keys() == {"b", "c"}


def test_an_error_in_place_of_an_answer_is_told() -> None:
    told: list[Event] = []
    assert dict(link(Grid({1: "the node is gone", 2: 0, 3: 0}), told)(asked(DO))).keys() == {"b", "c"}
    assert told == [Note(text="node 'a': the node is gone")]
