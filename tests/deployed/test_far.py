"""Scenarios reached by messages: what a node answered is let go before the next answer is there."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from methods.helpers import method, upload
from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.deployed.far import Far
from msmtrec.deployed.messages import Answer, Asked, Do, Done, Key
from msmtrec.federation.messages import Order, Report
from msmtrec.record.events import Event, Note

NODES = {"one": ("a", "b"), "two": ("c",), "three": ("d",)}
MEMBERS = [Member(seed, name) for seed in (0, 1) for name in "abcd"]


class Link:
    """Implements `link.Link`: every scenario sends an upload; `silent` do not answer.

    Attributes:
        alive: how many of the answers before were still there when the next one was made.
    """

    def __init__(self, silent: str = "") -> None:
        self.silent, self.alive = silent, list[int]()

    def __call__(self, asked: Mapping[str, Asked]) -> Iterator[tuple[str, Answer]]:
        made: list[Any] = []
        for node, one in asked.items():
            if node == self.silent:
                continue
            self.alive.append(sum(ref() is not None for ref in made))
            assert isinstance(one, Do)
            answer = Done({m: Report(upload=upload(method("fedavg"), m.scenario)) for m in one.orders})
            made += [weakref.ref(answer), *(weakref.ref(report.upload) for report in answer.reports.values())]
            pair = node, answer
            del answer
            yield pair
            del pair


def test_reports_of_a_seed_come_in_table_order_and_none_is_held() -> None:
    link = Link()
    far = Far(link, NODES, Key("fedavg"))
    found = []
    for member, _ in far(dict.fromkeys(MEMBERS, Order(1, train="rounds"))):
        found.append(member)
        del _
    assert sorted(found) == sorted(MEMBERS)
    for seed in (0, 1):
        assert [member.scenario for member in found if member.seed == seed] == [*"abcd"]
    assert link.alive == [0, 0, 0]
    assert far.after == {"one": 1, "two": 1, "three": 1}


def test_seeds_of_which_others_take_part_come_in_table_order_too() -> None:
    part = [Member(0, "a"), Member(0, "d"), Member(1, "c"), Member(1, "d")]
    found = [member for member, _ in Far(Link(), NODES, Key("fedavg"))(dict.fromkeys(part, Order(1, train="rounds")))]
    assert [member.scenario for member in found if member.seed == 1] == ["c", "d"]
    assert sorted(found) == part


def test_who_is_silent_is_told_and_too_few_end_it() -> None:
    told: list[Event] = []
    far = Far(Link("two"), NODES, Key("fedavg"), quorum=2, tell=told.append)
    assert {member.scenario for member, _ in far(dict.fromkeys(MEMBERS, Order(1, train="rounds")))} == {*"abd"}
    assert told == [Note(text="exchange 1 of fedavg goes on without node 'two' ('c'), which did not answer")]
    assert far.after == {"one": 1, "two": 0, "three": 1}
    with pytest.raises(UserError, match="exchange 2 of fedavg: 2 of 3 nodes answered, and 3 must; see that they run"):
        list(Far(Link("two"), NODES, Key("fedavg"), number=1, quorum=3)(dict.fromkeys(MEMBERS, Order(2))))
