"""Scripts of a deployment: what they tell Flower, from wherever they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from deployed.deployment import NODES

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")


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
    assert f'--run-config federation="{near}/server/federation.yaml" only=""' in asked
    assert "log 7 lab --stream" in asked
    assert "list lab --run-id 7" in asked


@pytest.mark.parametrize("gone", ["run", "list"])
def test_a_superlink_that_is_gone_is_said_in_a_sentence(gone: str, near: Path, tmp_path: Path) -> None:
    """Flower's commands end with 0 then."""
    for program in ("msmtrec", "flower-superlink"):
        (tmp_path / program).symlink_to("/bin/true")
    failed = r'{"success": false, "error-message": "Using SuperLink: lab\n\nConnection is unavailable."}'
    (tmp_path / "flwr").write_text(
        "#!/bin/sh\n"
        f"if [ \"$1\" = {gone} ]; then printf '%s' '{failed}'; exit 0; fi\n"
        'case "$1" in run) echo \'{"success": true, "run-id": "7"}\' ;; esac\n'
    )
    (tmp_path / "flwr").chmod(0o755)
    command, environment = (
        ["timeout", "20", str(near / "server" / "run.sh")],
        {**os.environ, "MSMTREC_BIN": str(tmp_path)},
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: Connection is unavailable.\n"
        "See that the SuperLink runs, then start this again: a run that was interrupted goes on.\n"
    )


@pytest.mark.parametrize("option, code", [("--check", 0), ("--schema", 0), ("--chek", 2)])
def test_a_check_trains_nothing(near: Path, tmp_path: Path, option: str, code: int) -> None:
    for program in ("msmtrec", "flower-superlink"):
        (tmp_path / program).symlink_to("/bin/true")
    (tmp_path / "flwr").write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> "{tmp_path}/asked"\n'
        'case "$1" in\n'
        '  run) echo \'{"run-id": "7"}\' ;;\n'
        '  list) echo \'{"runs": [{"status": "finished:completed", "status-details": ""}]}\' ;;\n'
        "esac\n"
    )
    (tmp_path / "flwr").chmod(0o755)
    command = ["timeout", "20", str(near / "server" / "run.sh"), option]
    environment = {**os.environ, "MSMTREC_BIN": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    if code:
        assert done.stderr == f"error: there is no option {option}; there are --check and --schema\n"
    else:
        assert done.stdout.splitlines()[-1] == "checked; nothing was trained"
        assert f'federation="{near}/server/federation.yaml" only="{option[2:]}"' in (tmp_path / "asked").read_text()


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
    assert app["config"].keys() == {"federation", "nodes", "only"}
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
    assert "proxy_max_temp_file_size 0;" in text
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


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_units(far: Path, tmp_path: Path) -> None:
    """Where they stand in the places that they name."""
    units = []
    for unit, place in (("server/superlink", "server"), ("nodes/BE-fr/supernode", "BE-fr")):
        here = (tmp_path / place).absolute()
        shutil.copytree((far / unit).parent, here)
        units.append(tmp_path / f"{Path(unit).name}.service")
        text = (far / f"{unit}.service").read_text()
        assert f"/srv/msmtrec/{place}/" in text
        units[-1].write_text(text.replace(f"/srv/msmtrec/{place}/", f"{here}/"))
    command = ["systemd-analyze", "verify", *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="there is no docker-compose here")
@pytest.mark.parametrize("folder", ["server", "nodes/BE-fr"])
def test_compose_takes_its_files(far: Path, folder: str) -> None:
    command = ["docker-compose", "--file", str(far / folder / "compose.yaml"), "config"]
    environment = {**os.environ, "MSMTREC_IMAGE": "lab/msmtrec:1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "image: lab/msmtrec:1" in done.stdout
