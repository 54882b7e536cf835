"""The folder of a deployment: complete, its keys secret, its settings those that server and nodes read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed.deployment import CONFIG, NODES, OWN, files, made
from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.config.parse import parse_data
from msmtrec.config.places import placed_data
from msmtrec.deployed.plan import planned, safe
from msmtrec.deployed.settings import FederationSettings, NodeSettings

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
x509 = pytest.importorskip("cryptography.x509")

EVERY = {
    "README.md",
    *(
        f"server/{name}"
        for name in (
            *("federation.yaml", "environment.sh", "start-superlink.sh", "register-nodes.sh", "run.sh"),
            *("flwr-home/config.toml", "app/pyproject.toml", "app/LICENSE", "superlink.service", "compose.yaml"),
            *("certificates/ca.key", "certificates/ca.crt", "certificates/server.key", "certificates/server.crt"),
        )
    ),
}
OF_A_NODE = (
    *("node.yaml", "ca.crt", "node-key", "node-key.pub"),
    *("start-supernode.sh", "supernode.service", "compose.yaml"),
)


def test_every_file_is_there_and_no_other(near: Path, far: Path) -> None:
    own = {f"nodes/{node}/{name}" for node in NODES for name in OF_A_NODE}
    keys = {f"server/public-keys/{node}.pub" for node in NODES}
    assert files(near) == EVERY | own | keys
    assert files(far) == EVERY | own | keys | {"server/nginx.conf"}
    assert [path.name for path in near.parent.iterdir() if path != near] == ["mine.yaml"]


def test_keys_are_secret_and_scripts_can_be_run(near: Path) -> None:
    for name in files(near):
        mode = (near / name).stat().st_mode & 0o777
        if name.endswith(("node-key", ".key")):
            assert mode == 0o600, name
        else:
            assert bool(mode & 0o100) == (name.endswith(".sh") and "environment" not in name), name


def test_the_federation_is_one_that_the_server_takes(near: Path) -> None:
    found = FederationSettings.load(near / "server" / "federation.yaml")
    assert found.scenarios == dict(zip(NODES, [(name,) for name in OWN["files"]], strict=True))
    assert (found.identity, found.quorum, found.folder) == ("registered", 2, near / "server" / "run")
    rest = {key: value for key, value in CONFIG.items() if key not in ("data", "jobs")}
    assert parse_agreed(found.agreed).as_dict() == parse_agreed(rest).as_dict()
    text = (near / "server" / "federation.yaml").read_text()
    for key in FederationSettings.model_fields:
        assert re.search(rf"^# .+\n{key}:", text, re.MULTILINE), key


def test_a_config_without_a_name_is_called_as_its_file(tmp_path: Path) -> None:
    folder = made(tmp_path, {key: value for key, value in CONFIG.items() if key != "name"})
    assert FederationSettings.load(folder / "server" / "federation.yaml").agreed["name"] == "mine"


def test_a_node_has_its_own_part_of_the_data(near: Path) -> None:
    place = near / "nodes" / "BE-fr"
    found = NodeSettings.load(place / "node.yaml")
    assert (found.scenarios, found.folder, found.cache) == (("BE|fr",), place / "runs", place / "cache")
    tables = {"items": {"files": {"BE|fr": "b.csv"}, "key": "item"}}
    assert found.data == placed_data({**OWN, "files": {"BE|fr": "be.csv"}, "tables": tables}, place)
    parse_data(found.data)
    assert "An example, to be replaced: files, tables.items.files." in (place / "node.yaml").read_text()


def test_a_node_declares_its_scenario_where_a_column_names_it(tmp_path: Path) -> None:
    data = {**OWN, "files": "all.csv", "scenario": "country", "scenarios": ["B", "A"], "tables": {}}
    folder = made(tmp_path, {**CONFIG, "data": data})
    assert FederationSettings.load(folder / "server" / "federation.yaml").scenarios == {"B": ("B",), "A": ("A",)}
    assert NodeSettings.load(folder / "nodes" / "A" / "node.yaml").data["scenarios"] == ["A"]


def test_made_up_rows_stay_as_they_are(tmp_path: Path) -> None:
    data = {"source": "synthetic", "scenarios": 3, "rows": [500, 400, 300]}
    folder = made(tmp_path, {**CONFIG, "data": data}, scenarios=["scenario-2", "scenario-0"])
    assert NodeSettings.load(folder / "nodes" / "scenario-0" / "node.yaml").data == data
    assert list(FederationSettings.load(folder / "server" / "federation.yaml").nodes) == ["scenario-2", "scenario-0"]
    assert "to be replaced" not in (folder / "nodes" / "scenario-0" / "node.yaml").read_text()


@pytest.mark.parametrize("key, scenarios", [("countries", ["NL", "FR"]), ("scenarios", ["1", "3"])])
def test_public_logs_list_theirs(tmp_path: Path, key: str, scenarios: list[str]) -> None:
    source = {"countries": "aliexpress", "scenarios": "ali-ccp"}[key]
    folder = made(tmp_path, {**CONFIG, "data": {"source": source, key: scenarios}})
    assert [path.name for path in sorted((folder / "nodes").iterdir())] == sorted(scenarios)


def test_names_of_nodes_are_names_of_folders_anywhere() -> None:
    given = ["a", "A", "a-2", "日本", "../x", ".hidden", "a b/c", "n" * 300, "-v", "東京"]
    assert list(safe(given)) == ["a", "A-2", "a-2-2", "node", "x", "hidden", "a-b-c", "n" * 60, "v", "node-2"]


def loaded(path: Path) -> Any:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize("host, name", [("near", "127.0.0.1"), ("far", "lab.example.org")])
def test_the_certificate_is_the_authority_s_and_names_the_host(
    request: pytest.FixtureRequest, host: str, name: str
) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.verification import PolicyBuilder, Store

    place = request.getfixturevalue(host) / "server" / "certificates"
    authority, own = loaded(place / "ca.crt"), loaded(place / "server.crt")
    builder = PolicyBuilder().store(Store([authority]))
    for called in (name, "127.0.0.1", "localhost"):
        builder.build_server_verifier(_subject(called)).verify(own, [])
    for one, key, days in ((authority, "ca", 3650), (own, "server", 730)):
        assert load_pem_private_key((place / f"{key}.key").read_bytes(), None).public_key() == one.public_key()
        assert one.public_key().curve.name == "secp384r1"
        left = one.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(days=days - 1) < left < timedelta(days=days + 1)
        assert one.not_valid_before_utc < datetime.now(UTC) - timedelta(minutes=30)
    constraints = own.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    for node in NODES:
        assert loaded(place.parent.parent / "nodes" / node / "ca.crt") == authority


def _subject(name: str) -> Any:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def test_a_node_s_key_is_one_that_flower_registers(near: Path) -> None:
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key
    from flwr.cli.supernode.register import try_load_public_key

    seen = set()
    for node in NODES:
        place = near / "nodes" / node
        public = try_load_public_key(place / "node-key.pub")
        assert (place / "node-key.pub").read_bytes() == (near / "server" / "public-keys" / f"{node}.pub").read_bytes()
        private: Any = load_ssh_private_key((place / "node-key").read_bytes(), None)
        assert private.curve.name == "secp384r1"
        assert try_load_public_key(near / "server" / "public-keys" / f"{node}.pub") == public
        assert _openssh(private) == (place / "node-key.pub").read_bytes().rsplit(b" ", 1)[0]
        assert (place / "node-key.pub").read_text().endswith(f" {node}\n")
        seen.add(public)
    assert len(seen) == len(NODES)


def _openssh(private: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found: bytes = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return found


@pytest.mark.parametrize(
    "host, address", [("::1", "[::1]:8000"), ("192.0.2.7", "192.0.2.7:8000"), ("2001:db8::7", "[2001:db8::7]:8000")]
)
def test_addresses(tmp_path: Path, host: str, address: str) -> None:
    folder = made(tmp_path, host=host)
    assert f"--superlink {address} " in (folder / "nodes" / "BE-fr" / "start-supernode.sh").read_text()
    own = loaded(folder / "server" / "certificates" / "server.crt")
    found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address(host) in found.get_values_for_type(x509.IPAddress)
    assert (folder / "server" / "nginx.conf").exists() == (host != "::1")


REFUSED: tuple[tuple[Mapping[str, Any], Mapping[str, Any], str], ...] = (
    ({}, {"scenarios": ["BE|fr", "BE|fr"]}, "--scenarios names 'BE|fr' twice"),
    ({}, {"scenarios": ["BE|fr", "BE|nl"]}, "--scenarios is 'BE|nl'; did you mean 'BE|fr'?"),
    ({}, {"scenarios": ["BE|fr", ""]}, "--scenarios has an empty name"),
    ({"data": {**OWN, "files": "a.csv", "scenario": "s", "tables": {}}}, {}, "name them: --scenarios A,B,C"),
    ({"data": {"source": "movielens-1m"}}, {}, "name them: --scenarios A,B,C"),
    ({"data": None}, {}, "has no 'data'"),
    ({"data": {**OWN, "feature": {}}}, {}, "unknown config key 'data.feature'"),
    ({"methods": ["local", "pooled"]}, {}, "methods.pooled: pooled trains on all rows in one place"),
    ({"expected": {"source": "x", "tolerance": 1, "figures": {}}}, {}, "expected: "),
    ({"train": {"rounds": 1, "local_steps": 1, "batch_size": {"BE|fr": 8}}}, {}, "train.batch_size has no number for"),
    ({}, {"host": "a b"}, "--host a b: "),
    ({}, {"host": "lab:8000"}, "--host lab:8000: "),
    ({}, {"host": "300.1.1.1"}, "--host 300.1.1.1: "),
    ({}, {"host": "0.0.0.0"}, "is no address that a node can call"),
)


@pytest.mark.parametrize("config, more, sentence", REFUSED)
def test_what_is_refused_leaves_nothing(
    tmp_path: Path, config: Mapping[str, Any], more: Mapping[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        made(tmp_path, {**CONFIG, **config}, **more)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a federation").mkdir()
    (tmp_path / "a federation" / "x").touch()
    with pytest.raises(UserError, match="is there already"):
        made(tmp_path)
    assert files(tmp_path) == {"mine.yaml", "a federation/x"}


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a federation").mkdir()
    assert "README.md" in files(made(tmp_path))


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_single_node_is_a_quorum(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(dict(CONFIG)))
    plan = planned(tmp_path / "mine.yaml", ["BE-fr"], host="localhost", port=8000)
    assert (plan.quorum, plan.proxied, plan.inner_port) == (1, False, 8000)
