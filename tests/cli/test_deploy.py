from pathlib import Path

import pytest

from called import called
from deployed.deployment import scripted

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
