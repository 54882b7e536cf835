"""`msmtrec bench`: what it prints, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from called import called
from msmtrec.studies import bench as module
from studies.small import BENCH


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    return called(capsys, "bench", *arguments)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("b.yaml").write_text(yaml.safe_dump(BENCH))
    return "b.yaml"


def test_a_dry_run_prints_the_plan_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], config: str, tmp_path: Path
) -> None:
    code, out, err = call(capsys, config, "--dry-run", "--set", "bench.candidates=3")
    assert (code, err) == (0, "")
    for words in ("fedavg, local", "c03", "3 × 2 × 1, 2 × 2 × 1", "1 × 4 × 2", "train.learning_rate=0.0"):
        assert words in out
    assert out.splitlines()[-1].startswith("2 contenders, 12 trainings: as much as 9 trainings of one seed")
    assert [path.name for path in tmp_path.iterdir()] == [config]


def test_it_trains_prints_the_tables_and_goes_on(
    capsys: pytest.CaptureFixture[str], config: str, tmp_path: Path
) -> None:
    few = ("--set", "bench.candidates=1", "--set", "bench.seeds=1")
    code, out, err = call(capsys, config, *few, "--out", "x", "--results", "seeds/all.csv")
    assert code == 0
    assert "run directory: x" in out
    assert "local: " in err
    assert len((tmp_path / "seeds" / "all.csv").read_text().splitlines()) == 1 + 2 * 2 * 2  # scenarios, tasks
    again = call(capsys, config, *few, "--out", "x", "--results", "seeds/all.csv", "--resume", "--log-format", "json")
    assert again[:2] == (0, out)
    events = [json.loads(line)["event"] for line in again[2].splitlines()]
    assert "contender_started" not in events
    assert events[-1] == "run_finished"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["b.yaml", "--set", "bench.candidates=0"], "bench.candidates"),
        (["b.yaml", "--set", "bench.space.train.learning_rat=[1, 2]"], "bench.space.train"),
        (["b.yaml", "--results", "."], "is a folder; name a CSV file in it"),
        (["b.yaml", "--resume"], "there is no benchmark in runs/b to resume"),
        (["none.yaml"], "cannot read the config none.yaml"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(
    capsys: pytest.CaptureFixture[str], config: str, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
    assert [path.name for path in tmp_path.iterdir()] == [config]


def test_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_bench", interrupted)
    code, _, err = call(capsys, config)
    assert (code, err) == (130, "interrupted; continue with the same command and --resume\n")
