import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from called import called
from deployed.deployment import scripted
from msmtrec.deployed.init import init

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")

CONFIG = """
data: {source: synthetic, scenarios: 3}
methods: [local, fedavg]
train: {rounds: 1, local_steps: 2}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text(CONFIG)
    return str(tmp_path / "mine.yaml")


def test_init(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str) -> None:
    folder = tmp_path / "new" / "federation"
    more = ["--scenarios", "scenario-2, scenario-0", "--host", "lab.example.org", "--port", "9000"]
    code, out, _ = called(capsys, "deploy", "init", str(folder), "--config", config, *more)
    assert code == 0
    assert out.splitlines() == [
        f"{folder}: a server at lab.example.org:9000, 2 nodes: scenario-2, scenario-0",
        f"what to do now: {folder}/README.md",
    ]
    assert sorted(path.name for path in (folder / "nodes").iterdir()) == ["scenario-0", "scenario-2"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--scenarios", "scenario-0,scenario-9"], "--scenarios is 'scenario-9'; did you mean 'scenario-"),
        (["--scenarios", "scenario-0,scenario-0"], "--scenarios names 'scenario-0' twice; remove one"),
        (["--scenarios", ""], "--scenarios has an empty name; separate names with single commas"),
        (["--config", "synthetic"], "methods.pooled: pooled trains on all rows in one place"),
        (["--config", "nothing"], "no config file and no built-in experiment 'nothing'"),
        (["--host", "lab/9"], "--host lab/9: must be a machine's name or address, without a port"),
    ],
)
def test_init_refuses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str, arguments: list[str], sentence: str
) -> None:
    code, out, err = called(capsys, "deploy", "init", str(tmp_path / "f"), "--config", config, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {sentence}")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_init_needs_an_empty_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str) -> None:
    code, _, err = called(capsys, "deploy", "init", str(tmp_path), "--config", config)
    assert (code, err) == (
        2,
        f"error: {tmp_path} is there already, and a deployment needs an empty folder; choose another\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_init_needs_a_port(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str) -> None:
    assert called(capsys, "deploy", "init", str(tmp_path / "f"), "--config", config, "--port", "0")[0] == 2


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("code", [0, 1])
def test_check_asks_the_deployment_s_own_script(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, inside: bool, code: int
) -> None:
    server = scripted(tmp_path, code)
    found, out, _ = called(capfd, "deploy", "check", str(server if inside else server.parent))
    assert (found, out) == (code, f"{server}/run.sh --check\n")


def test_what_is_no_deployment_is_not_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = called(capsys, "deploy", "check", str(tmp_path))
    assert (code, err.count("\n")) == (2, 1)
    assert f"{tmp_path} is no deployment: it has no server/run.sh; msmtrec deploy init writes one" in err


@pytest.fixture
def deployment(tmp_path: Path, config: str) -> Path:
    init(tmp_path / "deployment", Path(config), ["scenario-0"], host="127.0.0.1", port=8000)
    return tmp_path / "deployment"


def test_add_node(capsys: pytest.CaptureFixture[str], deployment: Path, tmp_path: Path) -> None:
    code, out, _ = called(capsys, "deploy", "add-node", str(deployment), "--scenario", "scenario-1")
    assert code == 0
    assert out.splitlines()[:2] == [
        f"{deployment}/nodes/scenario-1: node 'scenario-1' of scenario-1; it calls 127.0.0.1:8000",
        "what to do now:",
    ]
    key, like = deployment / "nodes/scenario-1/node-key.pub", deployment / "nodes/scenario-0"
    shutil.move(key, tmp_path / "key")
    shutil.rmtree(deployment / "nodes/scenario-1")
    (deployment / "server/public-keys/scenario-1.pub").unlink()
    more = ["--node", "two", "--public-key", str(tmp_path / "key"), "--like", str(like)]
    assert called(capsys, "deploy", "add-node", str(deployment), "--scenario", "scenario-2", *more)[0] == 0
    assert sorted(path.name for path in (deployment / "nodes").iterdir()) == ["scenario-0", "two"]
    assert not (deployment / "nodes/two/node-key").exists()


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--scenario", "scenario-0"], "--scenario scenario-0: node 'scenario-0' has it already"),
        (["--scenario", "scenario-1, scenario-2"], "a node of 2 scenarios needs a name of its own: --node NAME"),
        (["--scenario", "scenario-1", "--node", "../x"], "--node ../x: no node is called so"),
    ],
)
def test_add_node_refuses(
    capsys: pytest.CaptureFixture[str], deployment: Path, arguments: list[str], sentence: str
) -> None:
    code, out, err = called(capsys, "deploy", "add-node", str(deployment), *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {sentence}")
    assert [path.name for path in (deployment / "nodes").iterdir()] == ["scenario-0"]


def test_renew(capsys: pytest.CaptureFixture[str], deployment: Path, tmp_path: Path) -> None:
    place = deployment / "server/certificates"
    shutil.move(place / "ca.key", tmp_path / "safe")
    held = [(place / name).read_bytes() for name in ("server.crt", "ca.crt")]
    code, _, err = called(capsys, "deploy", "renew", str(deployment))
    sentence = f"{place}/ca.key is not there, as it should be; name where it is kept: --ca-key FILE"
    assert (code, err) == (2, f"error: {sentence}\n")
    code, out, _ = called(capsys, "deploy", "renew", str(deployment), "--ca-key", str(tmp_path / "safe"))
    assert (code, "2. start the SuperLink again" in out) == (0, True)
    assert [(place / name).read_bytes() for name in ("server.crt", "ca.crt")] != held
    assert (place / "ca.crt").read_bytes() == held[1]
    assert called(capsys, "deploy", "renew", str(deployment), "--authority")[0] == 0
    assert (place / "ca.crt").read_bytes() != held[1]


def test_check_says_in_time_that_a_certificate_ends(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, deployment: Path
) -> None:
    """And asks the nodes all the same."""
    monkeypatch.setattr("msmtrec.deployed.certificates.SERVER", timedelta(days=30, hours=2))
    assert called(capfd, "deploy", "renew", str(deployment))[0] == 0
    script = deployment / "server/run.sh"
    script.write_text('#!/bin/sh\necho "$0 $@"\nexit 0\n')
    code, out, err = called(capfd, "deploy", "check", str(deployment))
    assert (code, out) == (0, f"{script} --check\n")
    assert re.fullmatch(
        rf"note: the server's certificate ends on [-\d]+, in 30 days; msmtrec deploy renew {deployment} makes a new"
        r" one\n",
        err,
    )
