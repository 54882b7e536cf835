"""A scenario joins a federation that has begun: from then on as one that was there and never answered before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from deployed.pretend import Gone, Pretend, nodes_of
from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.joining import JOINED
from msmtrec.deployed.messages import Do
from msmtrec.deployed.server import Federation
from msmtrec.federation.checkpoint import plain_of
from msmtrec.record.directory import DATA as ROWS
from msmtrec.record.directory import read_json, read_lines, write_json
from msmtrec.record.events import Event, Note
from msmtrec.report.page import write_report
from msmtrec.serving.finished import Run

DATA: dict[str, Any] = {"source": "synthetic", "scenarios": 3, "rows": [500, 400, 300], "users": 40, "items": 30}
TRAIN = {"rounds": 3, "local_steps": 2, "batch_size": 64, "stack": "off", "threads": 1, "checkpoint_every": 1}
TWO = {"one": ("scenario-0",), "two": ("scenario-1",)}
THREE = {**TWO, "three": ("scenario-2",)}


class Killed(BaseException):
    """The server's process."""


def agreed(methods: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "joined", "train": TRAIN, "methods": dict(methods), "seeds": 2}


def federation(folder: Path, own: Mapping[str, tuple[str, ...]], what: dict[str, Any]) -> tuple[Federation, Pretend]:
    link = nodes_of(folder, DATA, own)
    return Federation(parse_agreed(what), own, link, folder / "server"), link


def killed(
    folder: Path, own: Mapping[str, tuple[str, ...]], what: dict[str, Any], exchange: int, contender: str = ""
) -> None:
    """Begun, or gone on, and killed before an exchange of a contender; of the first one that has it, unless said."""
    federation_, link = federation(folder, own, what)

    def kill(_node: str, asked: object) -> None:
        if isinstance(asked, Do) and asked.number == exchange and asked.key.contender.startswith(contender):
            raise Killed

    link.before = kill
    with pytest.raises(Killed):
        federation_.run(resume=(folder / "server").exists())


def begun(folder: Path, what: dict[str, Any], exchange: int = 2) -> None:
    killed(folder, TWO, what, exchange)


def joined(folder: Path, what: dict[str, Any], exchange: int = 2) -> list[str]:
    """Begun by two, gone on by three. Returns: the server's notes."""
    begun(folder, what, exchange)
    federation_, _ = federation(folder, THREE, what)
    heard = list[Event]()
    federation_.observer = heard.append
    federation_.run(resume=True)
    return [event.text for event in heard if isinstance(event, Note)]


def silent(folder: Path, what: dict[str, Any], exchange: int = 2) -> None:
    """By three, one of which does not answer before an exchange of the first contender."""
    federation_, link = federation(folder, THREE, what)
    first = next(iter(what["methods"]))

    def away(node: str, asked: object) -> None:
        if node == "three" and isinstance(asked, Do) and asked.key.contender == first and asked.number < exchange:
            raise Gone

    link.before = away
    federation_.run()


def models(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    paths = [path for node in THREE for path in (folder / node).glob("contenders/*/models/*")]
    return {str(path.relative_to(folder)): load_file(path) for path in paths}


def lines(folder: Path, name: str) -> list[Any]:
    return [
        {**line, "seconds": 0}
        for path in sorted((folder / "server/contenders").glob(f"*/{name}"))
        for line in (read_lines(path) if path.suffix == ".jsonl" else read_json(path))
    ]


METHODS = {
    "paper": {"method": "pf-msmtrec", "preset": "paper"},
    "later": {"method": "fedavg-all", "statistics": {"least": 20}},
}


@pytest.mark.parametrize(
    "methods, exchange",
    [
        (METHODS, 2),
        ({"recommended": {"method": "pf-msmtrec"}}, 3),
        ({"fedavg": {"fine_tune": {"rounds": 1, "patience": 1}}}, 2),
        ({"fedhca2": None}, 2),
        ({"pfedme": None}, 2),
        ({"ditto": None}, 2),
    ],
)
def test_who_joins_is_as_who_did_not_answer_before(methods: dict[str, Any], exchange: int, tmp_path: Path) -> None:
    what = agreed(methods)
    notes = joined(tmp_path / "joined", what, exchange)
    assert notes == ["from now on with scenario-2"]
    silent(tmp_path / "silent", what, exchange)
    one, two = models(tmp_path / "joined"), models(tmp_path / "silent")
    assert one.keys() == two.keys()
    assert len(one) >= 3 * 2
    for name, held in one.items():
        assert all(torch.equal(value, two[name][tensor]) for tensor, value in held.items()), name
    for name in ("validation.json", "test.json", "metrics.jsonl"):
        assert lines(tmp_path / "joined", name) == lines(tmp_path / "silent", name)
    rounds = read_lines(tmp_path / "joined/server/contenders" / next(iter(methods)) / "rounds.jsonl")
    took_part = [line["took_part"]["0"] for line in rounds[:3]]
    assert took_part == [["scenario-0", "scenario-1"], *[["scenario-0", "scenario-1", "scenario-2"]] * 2]


def test_a_run_that_was_joined_is_a_run(tmp_path: Path) -> None:
    """It is killed once more, goes on, another one cannot slip in, and there is a report."""
    what = agreed({"paper": METHODS["paper"]})
    begun(tmp_path, what)
    killed(tmp_path, THREE, what, 3)
    assert read_json(tmp_path / "server" / JOINED) == ["scenario-2"]
    federation(tmp_path, THREE, what)[0].run(resume=True)
    whole = tmp_path / "whole"
    joined(whole, what)
    one, two = models(tmp_path), models(whole)
    assert all(torch.equal(value, two[n][tensor]) for n, held in one.items() for tensor, value in held.items())
    run = Run(tmp_path / "server")
    assert run.scenarios == ("scenario-0", "scenario-1", "scenario-2")
    page = write_report(tmp_path / "server")
    assert "scenario-2" in page.read_text()


def test_a_method_hears_of_who_joins(tmp_path: Path) -> None:
    what = agreed({"scaffold": None})
    begun(tmp_path, what)
    killed(tmp_path, THREE, what, 3)
    (place,) = tmp_path.glob("server/contenders/scaffold/checkpoint/round-00002")
    servers = dict(plain_of(place)["standing"]["servers"])
    assert [held["method"]["scenarios"] for held in servers.values()] == [3, 3]


@pytest.mark.parametrize(
    "methods, exchange, why",
    [
        ({"local": None, **METHODS}, 2, "rounds of local are over"),
        ({"paper": {**METHODS["paper"], "statistics": {"least": 20}}}, 2, "what rows read of ids in paper was"),
        ({"fedavg": {"model": {"name": "star"}}}, 2, "star of fedavg has weights for each scenario"),
        ({"apple": None}, 2, "scenario 'scenario-2' cannot join: mixtures of apple count on who began it"),
        ({"fedavg": None}, 4, "rounds of fedavg are over"),  # the last round is yet to be measured
        ({"fedavg": {"fine_tune": {"rounds": 3, "patience": 3}}}, 5, "rounds of fedavg are over"),
    ],
)
def test_who_is_too_late_changes_nothing(methods: dict[str, Any], exchange: int, why: str, tmp_path: Path) -> None:
    """Without the newcomer the run goes on as if nothing had been."""
    what = agreed(methods)
    killed(tmp_path, TWO, what, exchange, "paper" if "local" in methods else "")
    before = read_json(tmp_path / "server" / ROWS)
    with pytest.raises(UserError, match=why):
        federation(tmp_path, THREE, what)[0].run(resume=True)
    assert read_json(tmp_path / "server" / ROWS) == before
    assert not (tmp_path / "server" / JOINED).exists()
    federation(tmp_path, TWO, what)[0].run(resume=True)
    assert Run(tmp_path / "server").scenarios == ("scenario-0", "scenario-1")


def test_a_federation_of_one_seed_that_is_over_has_no_newcomer(tmp_path: Path) -> None:
    """Where patience has ended it and the other seeds go on."""
    what = agreed({"fedavg": None})
    begun(tmp_path, what)
    (place,) = tmp_path.glob("server/contenders/fedavg/checkpoint/round-*/index.json")
    found = read_json(place)
    found["plain"]["standing"]["ended"] = [1]
    write_json(place, found)
    with pytest.raises(UserError, match="rounds of fedavg are over"):
        federation(tmp_path, THREE, what)[0].run(resume=True)


def test_nobody_leaves_or_stands_elsewhere(tmp_path: Path) -> None:
    what = agreed({"fedavg": None})
    begun(tmp_path, what, 2)
    with pytest.raises(UserError, match=r"was begun with scenario 'scenario-1', and no node has it now; put it back"):
        federation(tmp_path, {"one": ("scenario-0",)}, what)[0].run(resume=True)
    turned = {"three": ("scenario-2",), **TWO}
    with pytest.raises(UserError, match=r"was begun with scenario-0, scenario-1, in this order; put who joins behind"):
        federation(tmp_path, turned, what)[0].run(resume=True)
