"""Whole runs, bit for bit: twice, with other threads and stacks, with more scenarios, killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load, load_file

from experiment.small import COLUMNS, CONFIG
from msmtrec import run
from msmtrec.serving.finished import Run


def models(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.safetensors"))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(CONFIG, out=tmp_path_factory.mktemp("run") / "a")


def test_one_seed_twice_gives_the_same_bytes(finished: Run, tmp_path: Path) -> None:
    again = run(CONFIG, out=tmp_path / "again")
    assert models(again.folder) == models(finished.folder)
    for method in COLUMNS:
        for name in ("metrics.jsonl", "validation.json", "test.json"):
            assert (again.folder / "contenders" / method / name).read_bytes() == (
                finished.folder / "contenders" / method / name
            ).read_bytes()


def test_another_thread_count_gives_the_same_metrics(finished: Run, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    other = run({**CONFIG, "train": {**CONFIG["train"], "threads": 2}}, out=tmp_path / "two")
    assert torch.get_num_threads() == threads  # a contender's own number does not leak
    for name, cells in other.results.cells.items():
        for one, two in zip(cells, finished.results.cells[name], strict=True):
            assert one.auc == pytest.approx(two.auc, abs=1e-4)


def test_stacking_does_not_change_the_numbers(finished: Run, tmp_path: Path) -> None:
    def trained(stack: str) -> dict[str, dict[str, torch.Tensor]]:
        train = {**CONFIG["train"], "dtype": "float64", "stack": stack}
        folder = run({**CONFIG, "train": train}, out=tmp_path / stack).folder
        return {str(p.relative_to(folder)): load_file(p) for p in sorted(folder.rglob("*.safetensors"))}

    one, two = trained("off"), trained("all")
    assert one.keys() == two.keys()
    for file in one:
        for name, value in one[file].items():
            assert (value - two[file][name]).abs().max() < 1e-9, (file, name)


def test_adding_a_scenario_or_a_seed_does_not_change_anothers_stream(tmp_path: Path) -> None:
    base = {**CONFIG, "methods": {"local": None}, "train": {**CONFIG["train"], "stack": "off"}}
    more = {**base, "data": {**CONFIG["data"], "scenarios": 4, "rows": [1500, 700, 1000, 900]}, "seeds": [1, 0, 5]}
    folders = [run(c, out=tmp_path / str(n)).folder for n, c in enumerate((base, more))]
    one, two = (
        {name: load(content) for name, content in models(folder).items() if "models/" in name} for folder in folders
    )
    for name, parameters in one.items():
        assert parameters.keys() == two[name].keys()
        assert all(torch.equal(value, two[name][key]) for key, value in parameters.items())
    assert len(two) == 12


def marks(out: Path) -> set[str]:
    """Checkpoints and finished rows; the run goes on meanwhile, so folders may vanish under the walk."""
    return {
        str(Path(place) / name)
        for place, folders, files in os.walk(out)
        for name in (*folders, *files)
        if name.startswith("round-") or name == "validation.json"
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_in_the_middle_of_a_round_and_resume(finished: Run, tmp_path: Path, jobs: int) -> None:
    """SIGKILL at several moments; the resumed run ends with the same parameters, byte for byte."""
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump({**CONFIG, "jobs": jobs, "train": {**CONFIG["train"], "threads": 1, "checkpoint_every": 1}})
    )
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "msmtrec", "train", str(config), "--out", str(out)]
    kills = 0
    for attempt in range(12):
        process = subprocess.Popen(
            [*command, *(["--resume"] if attempt else [])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        seen = marks(out)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if kills < 4 and marks(out) - seen:
                time.sleep(0.013 * attempt)
                break
            time.sleep(0.002)
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read().decode()  # type: ignore[union-attr]
            break
        if kills < 4:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    assert kills >= 2
    assert models(out) == models(finished.folder)
    for method in COLUMNS:
        for name in ("metrics.jsonl", "validation.json", "test.json"):
            assert (out / "contenders" / method / name).read_bytes() == (
                finished.folder / "contenders" / method / name
            ).read_bytes()
