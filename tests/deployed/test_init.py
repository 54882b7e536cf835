"""The folder of a deployment: complete, its keys secret, its settings those that server and nodes read."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.config.parse import parse_data
from msmtrec.config.places import placed_data
from msmtrec.deployed.init import init
from msmtrec.deployed.plan import planned, safe
from msmtrec.deployed.settings import FederationSettings, NodeSettings

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
x509 = pytest.importorskip("cryptography.x509")

OWN = {
    "source": "tabular",
    "files": {"Nether lands": "nl/*.csv", "BE|fr": "be.csv", "BE-fr": "be2.csv"},
    "tasks": {"click": None},
    "features": {"item": None, "price": None},
    "split": {"fractions": [0.8, 0.1, 0.1]},
    "tables": {
        "items": {"files": {"Nether lands": "items.csv", "BE|fr": "b.csv", "BE-fr": "c.csv"}, "key": "item"},
    },
}
CONFIG: Mapping[str, Any] = {
    "name": "shops",
    "data": OWN,
    "methods": {"local": None, "paper": {"method": "pf-msmtrec", "preset": "paper"}},
    "train": {"rounds": 2, "local_steps": 3},
    "seeds": 2,
    "jobs": 2,
}
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
NODES = ("Nether-lands", "BE-fr", "BE-fr-2")


def made(folder: Path, config: Mapping[str, Any] = CONFIG, **more: Any) -> Path:
    """A deployment with a space in its path."""
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    init(folder / "a federation", path, **{"scenarios": None, "host": "127.0.0.1", "port": 8000, **more})
    return folder / "a federation"


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All on one machine."""
    return made(tmp_path_factory.mktemp("near"))


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("far"), host="lab.example.org", port=9443)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


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
    for one, key in ((authority, "ca"), (own, "server")):
        assert load_pem_private_key((place / f"{key}.key").read_bytes(), None).public_key() == one.public_key()
        assert one.public_key().curve.name == "secp384r1"
        left = one.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(days=729) < left < timedelta(days=731)
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


def test_scripts_are_bash(far: Path) -> None:
    scripts = sorted(far.rglob("*.sh"))
    assert len(scripts) == 4 + len(NODES)
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)


def _told(script: Path, folder: Path, *programs: str) -> list[str]:
    """What a script tells the last of the programs, each of which only writes its arguments down."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    for program in programs:
        (tools / program).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/told"\n')
        (tools / program).chmod(0o755)
    environment = {**os.environ, "MSMTREC_BIN": str(tools), "PATH": "/usr/bin:/bin"}
    subprocess.run([str(script)], cwd="/", env=environment, check=True)
    return (folder / "told").read_text().splitlines()


def test_a_node_s_folder_can_be_copied_to_another_place(near: Path, tmp_path: Path) -> None:
    place = tmp_path / "else where"
    subprocess.run(["cp", "-rp", str(near / "nodes" / "BE-fr"), str(place)], check=True)
    told = _told(place / "start-supernode.sh", tmp_path, "msmtrec", "flower-supernode")
    said = dict(zip(told[::2], told[1::2], strict=True))
    assert said == {
        "--superlink": "127.0.0.1:8000",
        "--root-certificates": str(place / "ca.crt"),
        "--auth-supernode-private-key": str(place / "node-key"),
        "--port": "9101",
        "--node-config": f'node="{place}/node.yaml"',
    }


def test_flower_reads_the_node_s_file_from_what_it_is_told(near: Path, tmp_path: Path) -> None:
    from flwr.common.config import parse_config_args

    told = _told(near / "nodes" / "BE-fr" / "start-supernode.sh", tmp_path, "msmtrec", "flower-supernode")
    assert parse_config_args([told[-1]]) == {"node": str(near / "nodes" / "BE-fr" / "node.yaml")}


def test_the_server_s_folder_too(far: Path, tmp_path: Path) -> None:
    place = tmp_path / "else where"
    subprocess.run(["cp", "-rp", str(far / "server"), str(place)], check=True)
    told = _told(place / "start-superlink.sh", tmp_path, "msmtrec", "flwr", "flower-superlink")
    assert {"--enable-supernode-auth", "--disable-runtime-dependency-installation"} <= {*told}
    assert told[told.index("--host") + 1] == "127.0.0.1"  # behind the proxy
    assert told[told.index("--port") + 1] == "9444"
    assert told[told.index("--database") + 1] == str(place / "superlink.db")
    for option, name in (("ca-certfile", "ca.crt"), ("certfile", "server.crt"), ("keyfile", "server.key")):
        assert told[told.index(f"--ssl-{option}") + 1] == str(place / "certificates" / name)
    found = tomllib.loads((place / "flwr-home" / "config.toml").read_text())["superlink"]["lab"]
    assert found == {"address": "127.0.0.1:9444", "root-certificates": str(place / "certificates" / "ca.crt")}


def test_flower_knows_the_server_from_the_start(near: Path, far: Path) -> None:
    for folder, port in ((near, 8000), (far, 9444)):
        found = tomllib.loads((folder / "server" / "flwr-home" / "config.toml").read_text())["superlink"]["lab"]
        place = folder / "server" / "certificates" / "ca.crt"
        assert found == {"address": f"127.0.0.1:{port}", "root-certificates": str(place)}


def test_a_script_says_what_it_lacks(near: Path) -> None:
    for script in ("server/run.sh", "nodes/BE-fr/start-supernode.sh"):
        environment = {"PATH": "/usr/bin:/bin"}
        done = subprocess.run([str(near / script)], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "there is no msmtrec in the PATH" in done.stderr


@pytest.mark.parametrize("status, code", [("finished:completed", 0), ("finished:failed", 1), ("finished:stopped", 1)])
def test_run_ends_with_the_run_s_status(near: Path, tmp_path: Path, status: str, code: int) -> None:
    for program in ("msmtrec", "flower-superlink"):
        (tmp_path / program).symlink_to("/bin/true")
    runs = '{"runs": [{"status": "%s", "status-details": "why {}"}]}'
    (tmp_path / "flwr").write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> "{tmp_path}/asked"\n'
        'case "$1" in\n'
        '  run) echo "Loading …"; echo \'{"success": true, "run-id": "7"}\' ;;\n'
        '  log) echo "said by the run" ;;\n'
        f'  list) if [ -e "{tmp_path}/later" ]; then printf \'{runs}\' {status}; else touch "{tmp_path}/later";\n'
        f"    printf '{runs}' running; fi ;;\n"
        "esac\n"
    )
    (tmp_path / "flwr").chmod(0o755)
    environment = {**os.environ, "MSMTREC_BIN": str(tmp_path)}
    command = ["timeout", "20", str(near / "server" / "run.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "said by the run" in done.stdout
    assert (f"{status}: why {{}}" in done.stderr) == bool(code)
    asked = (tmp_path / "asked").read_text()
    assert f'--run-config federation="{near}/server/federation.yaml"' in asked
    assert "log 7 lab --stream" in asked
    assert "list lab --run-id 7" in asked


@pytest.mark.parametrize("said, code", [("Public key already in use", 0), ("connection refused", 1)])
def test_keys_are_registered_by_the_names_of_nodes(near: Path, tmp_path: Path, said: str, code: int) -> None:
    for program in ("msmtrec", "flower-superlink"):
        (tmp_path / program).symlink_to("/bin/true")
    text = f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\ncase "$*" in *Nether-lands) echo "{said}" >&2; exit 1;; esac\n'
    (tmp_path / "flwr").write_text(text)
    (tmp_path / "flwr").chmod(0o755)
    command, environment = [str(near / "server" / "register-nodes.sh")], {**os.environ, "MSMTREC_BIN": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (code, bool(code))
    asked = (tmp_path / "asked").read_text().splitlines()
    keys = near / "server" / "public-keys"
    assert f"supernode register {keys}/BE-fr.pub lab --name BE-fr" in asked
    assert f"supernode register {keys}/BE-fr-2.pub lab --name BE-fr-2" in asked


def test_the_app_names_what_is_there(near: Path) -> None:
    from importlib import import_module

    app = tomllib.loads((near / "server" / "app" / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    assert app["config"].keys() == {"federation", "nodes"}
    for component in app["components"].values():
        module, name = component.split(":")
        assert hasattr(import_module(module), name)


def test_only_what_is_for_nodes_passes_the_proxy(far: Path) -> None:
    text = (far / "server" / "nginx.conf").read_text()
    assert re.findall(r"location (\S+) \{(?:\s*proxy_pass (\S+);| return (\d+);)", text) == [
        ("/v1/fleet/", "https://127.0.0.1:9444", ""),
        ("/v1/control", "", "403"),
        ("/v1/runtime", "", "403"),
        ("/", "", "404"),
    ]
    assert "listen 9443 ssl;" in text
    assert "client_max_body_size 0;" in text
    assert "--superlink lab.example.org:9443 " in (far / "nodes" / "BE-fr" / "start-supernode.sh").read_text()


def test_units_and_containers_start_the_scripts(far: Path) -> None:
    for name, script in (("server/superlink.service", "server/start-superlink.sh"),):
        assert f"ExecStart=/srv/msmtrec/{script}\n" in (far / name).read_text()
    for node in NODES:
        text = (far / "nodes" / node / "supernode.service").read_text()
        assert f"ExecStart=/srv/msmtrec/{node}/start-supernode.sh\n" in text
        assert "\nRestart=always\nRestartSec=" in text
        (service,) = yaml.safe_load((far / "nodes" / node / "compose.yaml").read_text())["services"].values()
        assert service["entrypoint"] == ["/node/start-supernode.sh"]
        assert service["restart"] == "always"
    services = yaml.safe_load((far / "server" / "compose.yaml").read_text())["services"]
    assert services.keys() == {"superlink", "proxy"}


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
