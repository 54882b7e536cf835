"""Whoever is killed, whenever: the run ends as an undisturbed one; one that is lost is as not there that round."""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from deployed.pretend import Gone, Pretend, nodes_of
from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed import server
from msmtrec.deployed.messages import Do, Done
from msmtrec.deployed.server import Federation
from msmtrec.record.directory import read_json, read_lines
from msmtrec.record.events import Event, Note
from msmtrec.record.lock import locked

DATA: dict[str, Any] = {"source": "synthetic", "scenarios": 2, "rows": [500, 400], "users": 40, "items": 30}
AGREED: dict[str, Any] = {
    "name": "killed",
    "train": {"rounds": 4, "local_steps": 2, "batch_size": 64, "stack": "off", "threads": 1, "checkpoint_every": 1},
    "methods": {
        "recommended": {"method": "pf-msmtrec", "statistics": {"least": 20}, "fine_tune": {"rounds": 2, "patience": 1}}
    },
    "seeds": 2,
}
OWN = {"one": ("scenario-0",), "two": ("scenario-1",)}


CODED = {**AGREED, "train": {**AGREED["train"], "wire": "int8", "top_k": 0.3}}


def federation(folder: Path, agreed: dict[str, Any] = AGREED) -> tuple[Federation, Pretend]:
    link = nodes_of(folder, DATA, OWN)
    return Federation(parse_agreed(agreed), OWN, link, folder / "server"), link


def found(folder: Path) -> dict[str, Any]:
    """What a run leaves behind, less the seconds."""
    place = folder / "server/contenders"
    lines = {
        str(path.relative_to(place)): [{**line, "seconds": 0} for line in read_lines(path)]
        for path in place.glob("*/*.jsonl")
    }
    figures = {str(path.relative_to(place)): read_json(path) for path in place.glob("*/*.json")}
    models = {
        str(path.relative_to(folder)): {name: value.tolist() for name, value in load_file(path).items()}
        for node in OWN
        for path in (folder / node).glob("contenders/*/models/*")
    }
    assert len(models) == 2 * 2 * 2
    return lines | figures | models


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    federation(folder)[0].run()
    return found(folder)


@pytest.mark.parametrize("ends", [True, False])
def test_a_run_waits_until_the_process_of_the_one_before_has_ended(
    ends: bool, undisturbed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a SuperLink that was killed goes on for some seconds."""
    monkeypatch.setattr(server, "_ENDS", 60.0 if ends else 0.1)
    federation(tmp_path)[0].run()
    with ExitStack() as before:
        before.enter_context(locked(tmp_path / "server"))
        if ends:
            threading.Timer(0.5, before.close).start()
            federation(tmp_path)[0].run(resume=True)
            assert found(tmp_path) == undisturbed
        else:
            with pytest.raises(UserError, match="another process is writing to"):
                federation(tmp_path)[0].run(resume=True)


class Killed(BaseException):
    """The server's process."""


@pytest.mark.parametrize("exchange", [1, 2, 4, 9, 10])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_that_is_killed_goes_on(exchange: int, when: str, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    """In either exchange of a round, and while fine-tuning; nodes may have answered already, or not."""
    federation_, link = federation(tmp_path)

    def kill(_node: str, what: object) -> None:
        if isinstance(what, Do) and what.number == exchange:
            raise Killed

    def killed_after(node: str, what: object) -> None:
        if isinstance(what, Done) and node == "one" and link.nodes[node].after == exchange:
            raise Killed

    setattr(link, when, kill if when == "before" else killed_after)
    with pytest.raises(Killed):
        federation_.run()
    link.before = link.after = lambda _node, _what: None
    link.kill("two")
    federation_.run(resume=True)
    assert found(tmp_path) == undisturbed


@pytest.mark.parametrize("exchange", [1, 2, 5, 10])
def test_a_node_that_is_killed_between_two_exchanges_goes_on(
    exchange: int, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    federation_, link = federation(tmp_path)
    link.before = lambda node, what: link.kill(node) if isinstance(what, Do) and what.number == exchange else None
    federation_.run()
    assert found(tmp_path) == undisturbed


def lost(link: Pretend, exchange: int, when: str) -> None:
    """Node two dies in an exchange: before it has begun, or when all is done and the answer has not left."""

    def gone(node: str, what: object) -> None:
        number = what.number if isinstance(what, Do) else link.nodes[node].after
        if node == "two" and isinstance(what, Do | Done) and number == exchange:
            link.kill(node)
            raise Gone

    setattr(link, when, gone)


@pytest.mark.parametrize("exchange", [3, 4])
def test_a_node_that_is_lost_in_a_round_is_as_one_that_never_heard_of_it(exchange: int, tmp_path: Path) -> None:
    both = []
    for when in ("before", "after"):
        folder = tmp_path / when
        federation_, link = federation(folder)
        lost(link, exchange, when)
        federation_.run()
        both.append(found(folder))
    assert both[0] == both[1]
    if exchange == 3:  # the first exchange of round 2
        rounds = both[0]["recommended/rounds.jsonl"]
        all_of_them = ["scenario-0", "scenario-1"]
        assert [line["took_part"]["0"] for line in rounds[:3]] == [all_of_them, ["scenario-0"], all_of_them]


@pytest.mark.parametrize("exchange", [3, 5])
def test_differences_are_to_what_the_server_has_heard(exchange: int, tmp_path: Path) -> None:
    """Uploads that are differences: of one that was lost, the next is a difference to the one before."""
    both = []
    for when in ("before", "after"):
        federation_, link = federation(tmp_path / when, CODED)
        lost(link, exchange, when)
        federation_.run()
        both.append(found(tmp_path / when))
    assert both[0] == both[1]
    rejected = [line["diagnostics"]["0"]["rejected"] for line in both[0]["recommended/rounds.jsonl"][:4]]
    assert rejected == [[]] * 4


def test_a_killed_server_remembers_what_differences_are_to(tmp_path: Path) -> None:
    federation(tmp_path / "whole", CODED)[0].run()
    federation_, link = federation(tmp_path / "killed", CODED)

    def kill(_node: str, what: object) -> None:
        if isinstance(what, Do) and what.number == 5:
            raise Killed

    link.before = kill
    with pytest.raises(Killed):
        federation_.run()
    link.before = lambda _node, _what: None
    link.kill("two")
    federation_.run(resume=True)
    assert found(tmp_path / "killed") == found(tmp_path / "whole")


def test_memories_that_are_gone_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing begins anew in silence: the round goes on without the scenario, and without any it does not."""
    heard = list[Event]()
    federation_, link = federation(tmp_path)
    federation_.observer = heard.append
    gone = ["one"]

    def lose(node: str, what: object) -> None:
        if isinstance(what, Do) and node in gone and (what.number == 5 or len(gone) > 1):
            for place in (tmp_path / node).glob("contenders/*/state/exchange-*"):
                shutil.rmtree(place)
            link.kill(node)
        if isinstance(what, Do) and what.number == 6:
            gone[:] = OWN

    link.before = lose
    with pytest.raises(UserError, match=r"exchange 7 of recommended: 0 of 2 nodes answered, and 1 must; see that they"):
        federation_.run()
    notes = [event.text for event in heard if isinstance(event, Note)]
    assert notes[0] == (
        "exchange 5 of recommended goes on without node 'one': the node of scenario 'scenario-0' cannot go on; its log"
        " says why"
    )
    assert "has nothing of exchange 4, from which the server goes on" in caplog.text


def test_a_run_that_is_begun_anew_reads_its_test_rows_with_its_own_models(
    undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Where the server's directory is gone and the nodes' are not."""
    federation(tmp_path)[0].run()
    shutil.rmtree(tmp_path / "server")
    for path in (tmp_path / "one").rglob("test.json"):
        path.write_text("[]")
    federation(tmp_path)[0].run()
    assert found(tmp_path) == undisturbed
