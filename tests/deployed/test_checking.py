"""Before anything trains: rows, versions and clocks, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deployed.pretend import nodes_of
from deployed.test_fit import ONE
from deployed.test_hostile import AGREED, DATA, OWN
from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.checking import Asked, doubts, lines
from msmtrec.deployed.messages import Facts
from msmtrec.deployed.node import Node
from msmtrec.deployed.server import Federation
from msmtrec.deployed.told import Told
from msmtrec.record.events import Event, Note

FACTS = Facts(
    "", {"NL": {"train": 3000, "validation": 10, "test": 20}}, timed=True, packages={"torch": "2.13.0"}, clock=15.0
)
ASKED = Asked({"one": FACTS}, {"NL": Told(timed=True, declared=ONE)}, 10.0, 20.0)


def test_a_line_for_each_scenario() -> None:
    assert list(lines(ASKED)) == [
        "node 'one', scenario 'NL': 3,000 train, 10 validation, 20 test rows; tasks click, buy",
        "features: user, item, price; with agreed ids: item",
    ]


@pytest.mark.parametrize(
    ("clock", "sentence"),
    [
        (10.0, None),
        (20.0, None),
        (25.0, None),
        (26.0, "the clock of node 'one' is 6 seconds ahead; set it, or its key may be refused"),
        (5.0, None),
        (-3590.0, "the clock of node 'one' is 3,600 seconds behind; set it, or its key may be refused"),
    ],
)
def test_a_clock_is_wrong_where_no_moment_of_the_question_explains_it(clock: float, sentence: str | None) -> None:
    found = list(doubts(replace(ASKED, facts={"one": replace(FACTS, clock=clock)}), {"torch": "2.13.0"}))
    assert found == ([] if sentence is None else [sentence])


def test_other_versions_are_said() -> None:
    found = list(doubts(ASKED, {"torch": "2.12.0", "numpy": "2.4.6"}))
    end = "figures may differ in the last digits from those of one machine"
    assert found == [
        f"node 'one' has torch 2.13.0, the server 2.12.0; {end}",
        f"node 'one' has numpy of no version, the server 2.4.6; {end}",
    ]


def test_nodes_that_are_there_leave_no_doubt_and_nothing_is_written(tmp_path: Path) -> None:
    heard = list[Event]()
    plain = nodes_of(tmp_path, DATA, OWN)
    asked = Federation(parse_agreed(AGREED), OWN, plain, tmp_path / "server", observer=heard.append).check()
    assert [event for event in heard if isinstance(event, Note)] == []
    assert [line.split(":")[0] for line in lines(asked)] == [
        "node 'one', scenario 'scenario-0'",
        "node 'two', scenario 'scenario-1'",
        "node 'bad', scenario 'scenario-2'",
        "features",
    ]
    assert not (tmp_path / "server").exists()


def test_rows_that_do_not_fit_are_heard_of_and_refused(tmp_path: Path) -> None:
    plain = nodes_of(tmp_path, DATA, OWN)
    plain.nodes["bad"] = Node(tmp_path / "bad", {**DATA, "items": 31}, OWN["bad"], None)
    federation = Federation(parse_agreed(AGREED), OWN, plain, tmp_path / "server")
    assert list(federation.ask().told) == ["scenario-0", "scenario-1", "scenario-2"]
    with pytest.raises(UserError, match="declare the feature 'item' differently, in shared"):
        federation.check()
