"""Threads, processes, and scripts without a main guard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from experiment.small import CONFIG
from msmtrec import run
from msmtrec.experiment.keeping import keep_scores


def test_threads_are_as_before_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    def fails(*_: Any) -> None:
        seen.append(torch.get_num_threads())
        raise RuntimeError("no")

    monkeypatch.setattr("msmtrec.experiment.training.federate", fails)
    with pytest.raises(RuntimeError, match="no"):
        run({**CONFIG, "train": {**CONFIG["train"], "threads": before + 1}}, out=tmp_path / "run")
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_test_rows_are_read_with_the_contenders_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = keep_scores

    def watched(*arguments: Any) -> None:
        seen.append(torch.get_num_threads())
        real(*arguments)

    monkeypatch.setattr("msmtrec.experiment.run.keep_scores", watched)
    run({**CONFIG, "methods": ["local"], "train": {**CONFIG["train"], "threads": 2}}, out=tmp_path / "run")
    assert seen == [2]


SCRIPT = """
import msmtrec
print("script")
msmtrec.run({config!r}, out={out!r})
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "run"
    script.write_text(SCRIPT.format(config={**CONFIG, "jobs": 2}, out=str(out)))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "did not get as far as training; with jobs above 1 every process reads your script again" in last
    assert 'put the call of msmtrec.run under if __name__ == "__main__": in a file, or set jobs: 1' in last
    assert "out of memory" not in done.stderr
    assert "already holds a run" not in done.stderr


WARNS = """
import warnings
from msmtrec.experiment import processes
from msmtrec import run

def warns(*arguments):
    warnings.warn("an odd kernel")
    return real(*arguments)

real, processes.run_contender = processes.run_contender, warns  # in every process, which reads this file again

if __name__ == "__main__":
    warnings.showwarning = lambda message, *_: print("heard:", message)
    run({config!r}, out={out!r}, caution=lambda _: None)
"""


def test_a_warning_of_a_process_is_heard_in_this_one(tmp_path: Path) -> None:
    script, config = tmp_path / "script.py", {**CONFIG, "methods": ["local", "fedavg"], "jobs": 2}
    script.write_text(WARNS.format(config=config, out=str(tmp_path / "run")))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "heard: an odd kernel\n"  # of both: a text is said once, as Python does
