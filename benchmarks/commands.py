"""A command of the library, run once in a new folder that holds a few configs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_CONFIG = """
data:
  source: tabular
  files: rows.csv
  scenario: place
  tasks: {click: null}
  features: {user: null, item: null}
  split: {random: [0.6, 0.2, 0.2]}
train: {local_steps: 1}
methods: [fedavg, pf-msmtrec]
"""
FILES = {
    "good.yaml": _CONFIG,
    "bad.yaml": _CONFIG.replace("local_steps", "local_stops"),
    "bad-source.yaml": _CONFIG.replace("scenario:", "scenari:"),
    "full/file": "",
}
BARE = "python alone"


def run(command: str, code: int, *options: str) -> str:
    """What it says on the standard error; no bytecode has to be made but in the first run.

    Args:
        command: without the program's name; or BARE.
        code: the exit status that it must end with.
        options: of Python.

    Raises:
        RuntimeError: it ended otherwise.
    """
    what = ["-c", "pass"] if command == BARE else ["-m", "msmtrec", *command.split()]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with TemporaryDirectory() as place:
        for name, text in FILES.items():
            (path := Path(place, name)).parent.mkdir(exist_ok=True)
            path.write_text(text)
        environment = {**kept, "MSMTREC_DATA": place, "MSMTREC_CACHE": str(Path(place, "cache"))}
        done = subprocess.run(
            [sys.executable, *options, *what], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode != code:
        raise RuntimeError(f"msmtrec {command} ended with {done.returncode}, not {code}:\n{done.stderr[-3000:]}")
    return done.stderr
