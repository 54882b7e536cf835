"""`msmtrec deploy schema`: of nodes' files and folders, of what was written of them, of a deployment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from yaml import safe_dump

from called import called
from deployed.deployment import scripted
from deployed.pretend import Pretend
from msmtrec.cli import schema
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.messages import Facts
from msmtrec.deployed.node import Node
from msmtrec.deployed.server import Federation
from msmtrec.deployed.settings import NodeSettings
from msmtrec.deployed.wire import answer_frame

SECRETS = {name: f"S3cret-{name}" for name in ("row", "listed", "word", "literal", "nothing", "side")}
"""Where a value stands -> the value."""
AGREED = {"name": "x", "methods": ["fedavg"], "train": {"rounds": 1, "local_steps": 1}, "seeds": 1}


def settings(name: str, **changes: Any) -> dict[str, Any]:
    data = {
        "source": "tabular",
        "files": {name: f"{name}.csv"},
        "tasks": {"click": {"positive": [SECRETS["word"]], "negative": ["no"]}},
        "features": {
            "user": None,
            "item": {"shared": {"hash": 64}},
            "brand": {"shared": {"values": [SECRETS["listed"], SECRETS["side"]]}},
            "mine": {"expression": f"item = '{SECRETS['literal']}'"},
            "price": {"kind": "numeric"},
        },
        "tables": {"items": {"files": {name: f"{name}-items.csv"}, "key": "item"}},
        "missing": [SECRETS["nothing"]],
        "split": {"time": "time", "fractions": [0.6, 0.2, 0.2]},
        "group": "user",
    }
    return {"scenarios": [name], "folder": "runs", "data": {**data, **changes}}


def node(folder: Path, name: str, **changes: Any) -> Path:
    """A node's folder, with its rows in it."""
    place = folder / name
    place.mkdir()
    (place / "node.yaml").write_text(safe_dump(settings(name, **changes), sort_keys=False))
    users = [SECRETS["row"], SECRETS["literal"], SECRETS["nothing"], "u1"]
    labels = [SECRETS["word"], "no"]
    lines = [f"{users[n % 4]},i{n % 5},{n / 8},{1_700_000_000 + n},{labels[n // 3 % 2]}" for n in range(100)]
    (place / f"{name}.csv").write_text("\n".join(["user,item,price,time,click", *lines]))
    brands = [SECRETS["listed"], SECRETS["side"]]
    sides = [f"i{n},{brands[n % 2]}" for n in range(5)]
    (place / f"{name}-items.csv").write_text("\n".join(["item,brand", *sides]))
    return place


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))


def leaked(*texts: str) -> list[str]:
    return [secret for secret in SECRETS.values() if any(secret in text for text in texts)]


def test_no_value_leaves(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is printed, what is written, and every byte that a node would send say none of the values planted."""
    place, path = node(tmp_path, "NL"), tmp_path / "NL.json"
    planted = "".join(file.read_text() for file in place.iterdir())
    assert leaked(planted) == list(SECRETS.values())
    code, out, err = called(capsys, "deploy", "schema", str(place), "--rows", "--out", str(path))
    assert (code, err) == (0, "")
    assert "60 + 20 + 20" in out
    assert out.splitlines()[-1] == f"{path}: the same, for the others; names, kinds and digests, no values"
    (answer,) = answers(tmp_path, place)
    frame, written = answer_frame("begin", answer), json.loads(path.read_text())
    assert answer.timed is written["timed"]
    assert answer.rows == written["rows"]
    assert schema.read_told(path).declared == schema.told_here(place / "node.yaml", count=False).declared
    sent = frame.header + bytes(frame.body).decode("latin-1")
    assert '"brand' in frame.header.replace("\\", "")
    assert leaked(out, path.read_text(), sent) == []


def answers(folder: Path, *places: Path) -> list[Facts]:
    """What nodes say to the first question."""
    asking, heard = federation(folder, *places), list[Any]()
    asking.link.after = lambda _node, answer: heard.append(answer)  # type: ignore[attr-defined]
    asking.ask()
    return heard


def federation(folder: Path, *places: Path) -> Federation:
    own = {place.name: NodeSettings.load(place / "node.yaml") for place in places}

    def maker(name: str) -> Callable[[], Node]:
        return lambda: Node(folder / f"{name}-runs", own[name].data, own[name].scenarios)

    nodes = {name: one.scenarios for name, one in own.items()}
    link = Pretend({name: maker(name) for name in own})
    return Federation(parse_agreed(AGREED), nodes, link, folder / "server")


def test_a_file_is_what_the_node_will_say(tmp_path: Path) -> None:
    """The server hears nothing of rows that was not in the file."""
    places = [node(tmp_path, name) for name in ("NL", "BE")]
    assert federation(tmp_path, *places).ask().told == schema.collected(places, count=True)


def test_several_side_by_side(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.json" for name in ("NL", "BE")}
    for name, path in paths.items():
        assert called(capsys, "deploy", "schema", str(node(tmp_path, name)), "--out", str(path))[0] == 0
    code, out, err = called(capsys, "deploy", "schema", str(paths["NL"]), str(tmp_path / "BE" / "node.yaml"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1] == "2 scenarios fit together"
    (item,) = [line for line in lines if " item " in line]
    assert [cell.strip() for cell in item.split("│")[1:-1]] == [
        "item",
        "categorical",
        "shared, 64 hash buckets",
        "all 2",
    ]
    assert "\x1b" not in out
    assert called(capsys, "deploy", "schema", *map(str, paths.values()))[1] == out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"features": {**settings("BE")["data"]["features"], "brand": {"shared": {"values": ["other", "list"]}}}},
            "scenarios 'NL' and 'BE' declare the feature 'brand' differently, in shared; declare it alike",
        ),
        (
            {"tasks": {"click": {"positive": [SECRETS["word"]], "negative": ["no"]}, "buy": {"column": "price"}}},
            "scenarios 'NL' and 'BE': only 'BE' has the task 'buy'; declare the same ones",
        ),
        (
            {"split": {"random": [0.6, 0.2, 0.2]}},
            "scenarios 'NL' and 'BE': only 'NL' has rows with times; declare split.time for both or for none",
        ),
        ({"group": None}, "scenarios 'NL' and 'BE' have different columns for group: user, None"),
    ],
)
def test_what_does_not_fit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, changes: Mapping[str, Any], sentence: str
) -> None:
    if "tasks" in changes:  # a column is a label or a feature
        features = {**settings("BE")["data"]["features"]}
        del features["price"]
        places = [node(tmp_path, "NL", features=features), node(tmp_path, "BE", features=features, **changes)]
    else:
        places = [node(tmp_path, "NL"), node(tmp_path, "BE", **changes)]
    code, out, err = called(capsys, "deploy", "schema", *map(str, places))
    assert (code, err) == (2, f"error: {sentence}\n")
    assert "who has it" in out  # the tables are there all the same
    assert leaked(out, err) == []


def test_one_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = called(capsys, "deploy", "schema", str(node(tmp_path, "NL") / "node.yaml"))
    assert code == 0
    assert out.splitlines()[-1] == "scenario 'NL' alone; name those of others too, to see whether they fit together"
    assert "not counted" in out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code, out, err = called(capsys, "deploy", "schema", *map(str, arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err.removeprefix("error: ").rstrip("\n")


def test_bad_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place, path, old = node(tmp_path, "NL"), tmp_path / "NL.json", tmp_path / "old.json"
    assert called(capsys, "deploy", "schema", str(place), "--out", str(path))[0] == 0
    old.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "federation.yaml").write_text("nodes: {}")
    again = "write it again: msmtrec deploy schema NODE.yaml --out FILE"
    assert refused(capsys, tmp_path / "no.json").startswith(f"there is no {tmp_path / 'no.json'}; name a deployment, ")
    assert refused(capsys, old) == f"{old} is of version 0, and this msmtrec reads version 1; {again}"
    assert refused(capsys, path, place) == f"{path} and {place} both tell of scenario 'NL'; leave one out"
    assert refused(capsys, path, path) == f"{path} and {path} both tell of scenario 'NL'; leave one out"
    assert refused(capsys, empty) == (
        f"{empty} is no deployment and no node's folder: it has neither server/run.sh nor node.yaml"
    )
    assert "federation.yaml.nodes" in refused(capsys, tmp_path / "federation.yaml")
    (place / "NL.csv").unlink()
    assert refused(capsys, place).startswith(f"data file {place / 'NL.csv'} does not exist")
    (place / "NL.csv").write_text("user,item,time,click\nu,i,1,no\n")
    assert refused(capsys, place).startswith(f"{place / 'NL.csv'} has no column 'price'")


def test_a_scenario_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = node(tmp_path, "NL")
    (place / "node.yaml").write_text(safe_dump({**settings("NL"), "scenarios": ["FR"]}))
    assert refused(capsys, place) == "scenario is 'FR'; valid: NL"


def test_rows_are_counted_where_they_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place, path = node(tmp_path, "NL"), tmp_path / "NL.json"
    assert called(capsys, "deploy", "schema", str(place), "--out", str(path))[0] == 0
    assert (
        refused(capsys, path, "--rows")
        == "--rows counts rows of nodes, and none is named; name a node's file or folder"
    )


def test_where_it_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place, path = node(tmp_path, "NL"), tmp_path / "NL.json"
    file = place / "node.yaml"
    before = file.read_text()
    assert refused(capsys, place, "--out", file) == (
        f"--out {file}: the name must end in .json, by which it is known again"
    )
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert refused(capsys, place, "--out", other) == (
        f"--out {other} is there, and it is another kind of file; choose another name"
    )
    nowhere = tmp_path / "no" / "NL.json"
    assert refused(capsys, place, "--out", nowhere) == (
        f"--out {nowhere}: the folder {nowhere.parent} does not exist; create it or choose another file"
    )
    assert refused(capsys, place, place, "--out", path) == (
        "--out writes what one node tells, and several are named; name one"
    )
    assert (file.read_text(), other.read_text(), path.exists()) == (before, "{}", False)
    long = tmp_path / f"{'n' * 250}.json"  # what is written first has a longer name
    code, _, err = called(capsys, "deploy", "schema", str(place), "--out", str(long))
    assert (code, err) == (2, f"error: cannot write {long}: File name too long; choose another file\n")
    for more in ((), ("--rows",)):  # an earlier one is written anew
        assert called(capsys, "deploy", "schema", str(place), "--out", str(path), *more)[0] == 0
    assert schema.read_told(path).rows == {"NL": {"train": 60, "validation": 20, "test": 20}}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("code", [0, 1])
def test_a_deployment_is_asked_by_its_own_script(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, inside: bool, code: int
) -> None:
    server = scripted(tmp_path, code)
    place = str(server if inside else server.parent)
    found, out, _ = called(capfd, "deploy", "schema", place)
    assert (found, out) == (code, f"{server}/run.sh --schema\n")
    for more in (["--rows"], ["--out", str(tmp_path / "a.json")], [place]):
        assert refused(capfd, place, *more) == (
            f"{place} is a deployment, whose nodes are asked: name it alone, without options"
        )


def test_names_are_no_markup(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal of 60 columns cells fold, and nothing is cut."""
    monkeypatch.setattr(schema, "out", Console(width=60, emoji=False))
    place = tmp_path / "odd"
    place.mkdir()
    name = "[red]a:x:b"
    data = {"source": "synthetic", "scenarios": 2, "rows": [400, 300]}
    (place / "node.yaml").write_text(safe_dump({"scenarios": ["scenario-0"], "folder": "runs", "data": data}))
    told = schema.collected([place], count=False)
    schema.print_told({name: told["scenario-0"].model_copy(update={"declared": _renamed(told["scenario-0"], name)})})
    out = capsys.readouterr().out
    assert name in out
    assert max(map(len, out.splitlines())) <= 60


def _renamed(told: schema.Told, name: str) -> Any:
    from dataclasses import replace

    (tasks,) = told.declared.scenarios.values()
    return replace(told.declared, scenarios={name: tasks})
