"""A newcomer's node: as `init` would have made it, or nothing at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed.deployment import CONFIG, NODES, OWN, contents, made

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from msmtrec.base.errors import UserError
from msmtrec.config.parse import parse_data
from msmtrec.config.places import placed_data
from msmtrec.deployed.adding import add_node
from msmtrec.deployed.node_keys import node_key
from msmtrec.deployed.settings import FederationSettings, NodeSettings

OF_A_NODE = (
    *("node.yaml", "ca.crt", "node-key", "node-key.pub"),
    *("start-supernode.sh", "supernode.service", "compose.yaml"),
)


@pytest.fixture
def own(near: Path, tmp_path: Path) -> Path:
    """A deployment to be changed."""
    return Path(shutil.copytree(near, tmp_path / "own"))


@pytest.fixture
def distant(far: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(far, tmp_path / "distant"))


def test_a_node_more_and_nothing_else(own: Path) -> None:
    before, settings = contents(own), FederationSettings.load(own / "server/federation.yaml")
    added = add_node(own, ["FR"])
    after = contents(own)
    new = {f"nodes/FR/{name}" for name in OF_A_NODE} | {"server/public-keys/FR.pub"}
    assert after.keys() == before.keys() | new
    assert {name for name, held in before.items() if after[name] != held} == {"server/federation.yaml"}
    found = FederationSettings.load(own / "server/federation.yaml")
    assert list(found.scenarios.items()) == [*settings.scenarios.items(), ("FR", ("FR",))]
    assert found.model_copy(update={"nodes": settings.nodes}) == settings
    assert (added.home, added.address, added.secret) == (own / "nodes/FR", "127.0.0.1:8000", True)
    assert not [path for path in (own / "nodes").iterdir() if path.name.startswith(".")]


def test_it_is_as_init_makes_them(distant: Path) -> None:
    """But for its names, its port, its key."""
    add_node(distant, ["FR"])
    home, other = distant / "nodes/FR", distant / "nodes/BE-fr-2"
    for name in OF_A_NODE:
        assert (home / name).stat().st_mode == (other / name).stat().st_mode, name
        if not name.startswith("node"):
            expected = (other / name).read_text().replace("BE-fr-2", "FR").replace("9102", "9103")
            assert (home / name).read_text() == expected
    assert "--superlink lab.example.org:9443 " in (home / "start-supernode.sh").read_text()
    assert (home / "node-key").stat().st_mode & 0o777 == 0o600
    assert (home / "node-key.pub").read_bytes() == (distant / "server/public-keys/FR.pub").read_bytes()
    assert (home / "node-key.pub").read_text().endswith(" FR\n")


def test_its_data_are_an_example(own: Path) -> None:
    """That of the first node, whose scenario's place it takes."""
    add_node(own, ["FR", "DE"], name="shops")
    found = NodeSettings.load(own / "nodes/shops/node.yaml")
    tables = {"items": {"files": {"FR": "items.csv", "DE": "items.csv"}, "key": "item"}}
    expected = {**OWN, "files": {"FR": "nl/*.csv", "DE": "nl/*.csv"}, "tables": tables}
    assert (found.scenarios, found.data) == (("FR", "DE"), placed_data(expected, own / "nodes/shops"))
    parse_data(found.data)
    assert "An example, to be replaced: files, tables.items.files." in (own / "nodes/shops/node.yaml").read_text()
    assert FederationSettings.load(own / "server/federation.yaml").scenarios["shops"] == ("FR", "DE")


def test_an_example_from_elsewhere(own: Path, tmp_path: Path) -> None:
    shutil.move(own / "nodes/BE-fr", tmp_path / "else where")
    shutil.rmtree(own / "nodes")
    before = contents(own)
    with pytest.raises(UserError, match=r"has no node's node.yaml for an example .* name one: --like FILE"):
        add_node(own, ["FR"])
    assert contents(own) == before
    for name, like in (("FR", tmp_path / "else where"), ("DE", tmp_path / "else where/node.yaml")):
        add_node(own, [name], like=like)
        assert NodeSettings.example(own / "nodes" / name / "node.yaml")["files"] == {name: "be.csv"}


@pytest.mark.parametrize(
    ("data", "scenarios", "key", "expected"),
    [
        ({**OWN, "files": "all.csv", "scenario": "s", "scenarios": ["NL"], "tables": {}}, ["NL"], "scenarios", ["FR"]),
        ({"source": "aliexpress", "countries": ["NL", "ES"]}, None, "countries", ["NL", "ES", "FR"]),
    ],
)
def test_data_that_list_scenarios_list_it(
    tmp_path: Path, data: Mapping[str, Any], scenarios: list[str] | None, key: str, expected: list[str]
) -> None:
    folder = made(tmp_path, {**CONFIG, "data": data}, scenarios=scenarios)
    add_node(folder, ["FR"])
    assert NodeSettings.example(folder / "nodes/FR/node.yaml")[key] == expected


def test_a_key_that_its_operator_has(own: Path, tmp_path: Path) -> None:
    key = tmp_path / "theirs.pub"
    key.write_bytes(node_key("somebody@somewhere").public)
    added = add_node(own, ["FR"], key=key)
    assert not (own / "nodes/FR/node-key").exists()
    for path in (own / "nodes/FR/node-key.pub", own / "server/public-keys/FR.pub"):
        assert path.read_bytes().split() == [*key.read_bytes().split()[:2], b"FR"]
    assert not added.secret
    assert "1. give the node its folder; its operator puts the private key there as node-key" in list(added.lines())


def test_what_to_do_next(own: Path) -> None:
    lines = list(add_node(own, ["FR"]).lines())
    assert lines[0] == f"{own}/nodes/FR: node 'FR' of FR; it calls 127.0.0.1:8000"
    assert "2. there, say in node.yaml where the rows are; an example: files, tables.items.files" in lines
    assert "4. at the server: register-nodes.sh, while the SuperLink runs; it tells it the key of FR" in lines


def test_one_after_the_other(own: Path) -> None:
    for name in ("FR", "DE"):
        add_node(own, [name])
    assert list(FederationSettings.load(own / "server/federation.yaml").nodes) == [*NODES, "FR", "DE"]
    assert 'SUPERNODE_PORT:-9104}"' in (own / "nodes/DE/start-supernode.sh").read_text()


REFUSED: tuple[tuple[list[str], Mapping[str, Any], str], ...] = (
    ([""], {}, "--scenario has an empty name; separate names with single commas"),
    (["FR", "FR"], {"name": "x"}, "--scenario names 'FR' twice; remove one"),
    (["FR", "BE|fr"], {"name": "x"}, "--scenario BE|fr: node 'BE-fr' has it already"),
    (["FR", "DE"], {}, "a node of 2 scenarios needs a name of its own: --node NAME"),
    (["../x"], {}, "--scenario ../x: no node is called so"),
    (["FR"], {"name": "日本"}, "--node 日本: no node is called so"),
    (["FR"], {"name": "a b"}, "--node a b: no node is called so"),
    (["nether-LANDS"], {}, "--scenario nether-LANDS: there is a node 'Nether-lands' already"),
    (["FR"], {"name": "BE-fr"}, "--node BE-fr: there is a node 'BE-fr' already"),
    (["FR"], {"like": Path("nowhere")}, "cannot read the config nowhere"),
    (["FR"], {"key": Path("nowhere")}, "cannot read nowhere"),
)


@pytest.mark.parametrize(("scenarios", "more", "sentence"), REFUSED)
def test_what_is_refused_changes_nothing(
    own: Path, scenarios: list[str], more: Mapping[str, Any], sentence: str
) -> None:
    before = contents(own)
    with pytest.raises(UserError, match=re.escape(sentence)):
        add_node(own, scenarios, **more)
    assert contents(own) == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda own: (own / "nodes/FR").mkdir(), "nodes/FR is there already, and "),
        (lambda own: (own / "server/public-keys/FR.pub").touch(), "public-keys/FR.pub is there already"),
        (lambda own: (own / "server/federation.yaml").unlink(), "is no deployment: it has no server/federation.yaml"),
        (lambda own: (own / "server/certificates/server.crt").unlink(), "cannot read "),
        (lambda own: (own / "server/certificates/server.crt").write_text("x"), "is no certificate in PEM"),
        (lambda own: (own / "server/flwr-home/config.toml").unlink(), "cannot read where the SuperLink is"),
        (lambda own: in_one_line(own / "server/federation.yaml"), 'put behind all others: "FR": {scenarios: '),
        (lambda own: batches(own / "server/federation.yaml"), "train.batch_size has no number for"),
    ],
)
def test_a_deployment_that_is_not_fit_is_left_alone(own: Path, change: Any, sentence: str) -> None:
    change(own)
    before = contents(own)
    with pytest.raises(UserError, match=re.escape(sentence)):
        add_node(own, ["FR"])
    assert contents(own) == before


def in_one_line(path: Path) -> None:
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()), default_flow_style=True))


def batches(path: Path) -> None:
    found = yaml.safe_load(path.read_text())
    found["agreed"]["train"]["batch_size"] = {one: 8 for node in found["nodes"].values() for one in node["scenarios"]}
    path.write_text(yaml.safe_dump(found, sort_keys=False))


def test_rows_that_are_made_up_have_no_other_scenarios(tmp_path: Path) -> None:
    folder = made(tmp_path, {**CONFIG, "data": {"source": "synthetic", "scenarios": 2}})
    with pytest.raises(UserError, match="--scenario is 'scenario-7'; did you mean 'scenario-"):
        add_node(folder, ["scenario-7"])


@pytest.mark.parametrize("kind", ["private", "rsa", "taken"])
def test_keys_that_are_no_newcomer_s(own: Path, tmp_path: Path, kind: str) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key, before = tmp_path / "key", contents(own)
    if kind == "private":
        key.write_bytes(node_key("x").private)
    elif kind == "rsa":
        own_key = generate_private_key(65537, 2048).public_key()
        key.write_bytes(own_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    else:
        key.write_bytes((own / "nodes/BE-fr/node-key.pub").read_bytes().split(b" BE")[0] + b" another\n")
    sentence = {
        "private": "is no public key in OpenSSH's form; ssh-keygen ",
        "rsa": "is of another kind than Flower takes; make one by ssh-keygen ",
        "taken": "it is that of node 'BE-fr'; each node needs its own",
    }[kind]
    with pytest.raises(UserError, match=re.escape(sentence)):
        add_node(own, ["FR"], key=key)
    assert contents(own) == before


@pytest.mark.parametrize("step", ["rename", "write", "replace"])
def test_what_cannot_be_written_leaves_nothing(own: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whichever of the three it is: the node's folder, the public key, the federation's file."""
    before, folders = contents(own), sorted(own.rglob("*"))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    if step == "write":
        (own / "server/public-keys").rename(own / "server/elsewhere")
        (own / "server/public-keys").touch()
        before, folders = contents(own), sorted(own.rglob("*"))
    else:
        monkeypatch.setattr(Path, step, full)
    with pytest.raises(UserError, match=r"cannot add a node to .*; nothing has been added"):
        add_node(own, ["FR"])
    monkeypatch.undo()
    assert contents(own) == before
    assert sorted(own.rglob("*")) == folders


def test_the_federation_s_file_keeps_its_mode_and_may_be_a_link(own: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", own / "server/federation.yaml"
    link.rename(real)
    real.chmod(0o640)
    link.symlink_to(real)
    add_node(own, ["FR"])
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "FR" in yaml.safe_load(real.read_text())["nodes"]
