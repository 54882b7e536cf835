"""What a node may send by mistake or on purpose: refused in one line that names the scenario, and the round goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from deployed.pretend import Pretend, nodes_of
from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.messages import Answer, Begin, Done, Facts, Know, Known, Refused, Weigh
from msmtrec.deployed.node import Node
from msmtrec.deployed.server import Federation
from msmtrec.federation.messages import Report
from msmtrec.methods.base import Upload
from msmtrec.record.directory import read_json
from msmtrec.record.events import Event, Note

DATA: dict[str, Any] = {"source": "synthetic", "scenarios": 3, "rows": [400, 400, 400], "users": 40, "items": 30}
AGREED: dict[str, Any] = {
    "name": "hostile",
    "train": {"rounds": 3, "local_steps": 2, "batch_size": 64, "threads": 1},
    "methods": {"fedavg": {"method": "fedavg-all"}},
    "seeds": 1,
}
OWN = {name: (f"scenario-{n}",) for n, name in enumerate(("one", "two", "bad"))}
BAD = Member(0, "scenario-2")


class Tampered(Pretend):
    """What node `bad` answers in the first exchange is changed on its way."""

    change: Callable[[Report], Report]

    def __call__(self, asked: Any) -> Iterable[tuple[str, Answer]]:
        found = dict(super().__call__(asked))
        answer = found.get("bad")
        if isinstance(answer, Done) and asked["bad"].number == 1:
            found["bad"] = Done({member: self.change(report) for member, report in answer.reports.items()})
        return found.items()


def ran(folder: Path, change: Callable[[Report], Report]) -> tuple[list[str], dict[str, Any]]:
    """(notes, diagnostics of the first round)"""
    plain, heard = nodes_of(folder, DATA, OWN), list[Event]()
    link = Tampered(plain.make)
    link.change = change  # type: ignore[method-assign]
    Federation(parse_agreed(AGREED), OWN, link, folder / "server", observer=heard.append).run()
    lines = (folder / "server/contenders/fedavg/rounds.jsonl").read_text().splitlines()
    assert len(lines) == 3
    return [event.text for event in heard if isinstance(event, Note)], json.loads(lines[0])


def upload(change: Callable[[Upload], Upload]) -> Callable[[Report], Report]:
    def changed(report: Report) -> Report:
        assert report.upload is not None
        return replace(report, upload=change(report.upload))

    return changed


def tower(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Report], Report]:
    def changed(sent: Upload) -> Upload:
        slot = dict(sent.slots["model"])
        name = next(name for name in slot if name.startswith("expert"))
        return replace(sent, slots={"model": {**slot, name: change(slot[name])}})

    return upload(changed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (tower(lambda value: value[..., :-1]), "scenario 'scenario-2' sent 'expert"),
        (upload(lambda sent: replace(sent, slots={"model": {}})), "scenario 'scenario-2' sent no '"),
        (
            upload(lambda sent: replace(sent, norm=float("nan"))),
            "scenario 'scenario-2' says that its update is nan long",
        ),
        (upload(lambda sent: replace(sent, norm=-1.0)), "scenario 'scenario-2' says that its update is -1.0 long"),
    ],
)
def test_an_upload_that_cannot_be_used(change: Callable[[Report], Report], sentence: str, tmp_path: Path) -> None:
    notes, first = ran(tmp_path, change)
    (note,) = notes
    assert note.startswith(f"fedavg, round 1: {sentence}")
    assert note.endswith(", with seed 0; the round goes on without it")
    assert list(first["diagnostics"]["0"]["update_norms"]) == ["scenario-0", "scenario-1"]


@pytest.mark.parametrize(
    "change",
    [
        upload(lambda sent: replace(sent, scenario="scenario-0")),  # speaks for another one
        lambda report: replace(report, best={"scenario-0": (1, 1.0)}),
    ],
)
def test_an_answer_for_somebody_else(change: Callable[[Report], Report], tmp_path: Path) -> None:
    notes, first = ran(tmp_path, change)
    assert notes == [
        "exchange 1 of fedavg goes on without node 'bad' ('scenario-2'), whose answer is not to what it was asked"
    ]
    assert first["took_part"]["0"] == ["scenario-0", "scenario-1"]


def test_an_update_that_is_far_too_long_is_told_once(tmp_path: Path) -> None:
    notes, first = ran(tmp_path, upload(lambda sent: replace(sent, norm=100 * sent.norm)))
    (note,) = notes
    assert note.startswith("fedavg, round 1: scenario 'scenario-2' sent an update ")
    assert note.endswith(" times as long as the scenarios' median; options.clip shortens such")
    assert first["took_part"]["0"] == ["scenario-0", "scenario-1", "scenario-2"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none(number: float, tmp_path: Path) -> None:
    """A scenario looks for them itself; one that does not is refused all the same, in means too."""
    notes, first = ran(tmp_path, tower(lambda value: value.index_fill(-1, torch.tensor([0]), number)))
    (note,) = notes
    assert note.startswith("fedavg, round 1: scenario 'scenario-2' sent 'expert")
    assert note.endswith("with NaN or infinite values, with seed 0; the round goes on without it")
    assert list(first["diagnostics"]["0"]["update_norms"]) == ["scenario-0", "scenario-1"]


def test_another_version_is_refused(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", DATA, ("scenario-0",))
    answer = node(Begin("0.0.1", "{}", ("scenario-0",), ("scenario-0",)))
    assert isinstance(answer, Refused)
    assert answer.sentence.startswith("the node of scenario 'scenario-0' has msmtrec ")
    assert answer.sentence.endswith("the server 0.0.1; install the same")
    assert not (tmp_path / "node").exists()


def test_schemas_that_do_not_fit_are_named_on_both_sides(tmp_path: Path) -> None:
    plain = nodes_of(tmp_path, DATA, OWN)
    plain.nodes["bad"] = Node(tmp_path / "bad", {**DATA, "items": 31}, OWN["bad"], tmp_path / "bad-cache")
    with pytest.raises(UserError) as found:
        Federation(parse_agreed(AGREED), OWN, plain, tmp_path / "server").run()
    assert str(found.value) == (
        "scenarios 'scenario-0' and 'scenario-2' declare the feature 'item' differently, in shared; declare it alike"
    )


def test_a_scenario_that_is_not_there_is_said_at_the_node_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sentences on rows may hold what rows hold: they stay in the node's own log."""
    plain = nodes_of(tmp_path, DATA, OWN)
    plain.nodes["bad"] = Node(tmp_path / "bad", {**DATA, "scenarios": 2, "rows": [400, 400]}, OWN["bad"], None)
    with pytest.raises(UserError, match=r"^the node of scenario 'scenario-2' cannot go on; its log says why$"):
        Federation(parse_agreed(AGREED), OWN, plain, tmp_path / "server").run()
    assert "scenario is 'scenario-2'; did you mean" in caplog.text


def test_rows_that_have_changed_are_refused(tmp_path: Path) -> None:
    plain = nodes_of(tmp_path, DATA, OWN)
    federation = Federation(parse_agreed(AGREED), OWN, plain, tmp_path / "server")

    def stop(_node: str, what: object) -> None:
        if isinstance(what, Done):
            raise KeyboardInterrupt

    plain.after = stop
    with pytest.raises(KeyboardInterrupt):
        federation.run()
    assert read_json(tmp_path / "server/data.json")["shared"]["origin"] == "3 nodes"
    plain.after = lambda _node, _what: None
    real = plain.nodes["bad"]
    plain.nodes["bad"] = lambda asked: (  # type: ignore[assignment]
        replace(answer, rows={"scenario-2": {"train": 1, "validation": 1, "test": 1}})
        if isinstance(answer := real(asked), Facts)
        else answer
    )
    with pytest.raises(UserError, match="rows of a node have changed since"):
        federation.run(resume=True)


def test_counts_that_are_none_are_never_summed(tmp_path: Path) -> None:
    """Before the first round there is no going on without a scenario: all would read what it said."""
    plain = nodes_of(tmp_path, DATA, OWN)
    real = plain.nodes["bad"]

    def tampered(asked: Any) -> Any:
        answer = real(asked)
        if not isinstance(answer, Known) or not any(step.histories for step in answer.said.values()):
            return answer
        (name, said), *_ = answer.said.items()
        wrong = {field: replace(own, sums=own.sums * float("nan")) for field, own in said.histories.items()}
        return replace(answer, said={name: replace(said, histories=wrong)})

    plain.nodes["bad"] = tampered  # type: ignore[assignment]
    agreed = parse_agreed({**AGREED, "methods": {"linear": {"statistics": {"least": 5}}}})
    with pytest.raises(UserError, match="scenario 'scenario-2' sent counts of its ids that are none"):
        Federation(agreed, OWN, plain, tmp_path / "server").run()


def test_a_node_that_says_nothing_of_a_step_is_refused(tmp_path: Path) -> None:
    plain = nodes_of(tmp_path, DATA, OWN)
    real = plain.nodes["bad"]
    plain.nodes["bad"] = lambda asked: Known({}) if isinstance(asked, Know) else real(asked)  # type: ignore[assignment]
    agreed = parse_agreed({**AGREED, "methods": {"linear": {"statistics": {"least": 5}}}})
    with pytest.raises(UserError, match="nodes are at different steps before the first round"):
        Federation(agreed, OWN, plain, tmp_path / "server").run()


def test_a_node_weighs_its_own_lines_alone(tmp_path: Path) -> None:
    plain = nodes_of(tmp_path, DATA, OWN)
    real, other = plain.nodes["bad"], plain.nodes["one"]
    plain.nodes["bad"] = lambda asked: (other if isinstance(asked, Weigh) else real)(asked)  # type: ignore[assignment]
    with pytest.raises(UserError, match="node 'bad' weighs other scenarios than its own: scenario-0, not scenario-2"):
        Federation(parse_agreed(AGREED), OWN, plain, tmp_path / "server").run()
