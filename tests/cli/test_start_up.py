"""Commands that train and predict nothing wait for no library that only training and predicting need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
from yaml import safe_dump

LIGHT = (
    "--version",
    "--help",
    "train --help",
    "show --help",
    "report --help",
    "data --help",
    "report",
    "report nowhere",
    "show nowhere",
    "list methods",
    "list models",
    "data list",
)
"""Nothing of rows: no polars either."""
READING = (
    "train bad.yaml",
    "data check bad.yaml",
    "list datasets",
    "list settings",
    "data check good.yaml",
    "data describe good.yaml",
)
REFUSED = ("report", "report nowhere", "show nowhere", "train bad.yaml", "data check bad.yaml")

SCRIPT = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

found = {}
for command in sys.argv[1:]:
    sys.argv = ["msmtrec", *command.split()]
    code = None
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        from msmtrec.cli.main import main
        try:
            main()
        except SystemExit as end:
            code = end.code
    found[command] = code, [name for name in ("torch", "scipy", "sklearn", "polars") if name in sys.modules]
import msmtrec.profile.page.profile, msmtrec.profile.profile
found["profile"] = 0, ["torch"] if "torch" in sys.modules else []
print(json.dumps(found))
"""
"""All commands in one new interpreter, those that need least first: what the first of them loads shows in all."""

Found = Mapping[str, tuple[int, list[str]]]
"""command -> its exit code, and which of the large libraries are loaded after it"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("start-up")
    rows = "".join(f"u{n % 9},i{n % 7},{'ab'[n % 2]},{n // 3 % 2}\n" for n in range(200))
    (folder / "logs.csv").write_text(f"user,item,place,click\n{rows}")
    config = {
        "data": {
            "source": "tabular",
            "files": "logs.csv",
            "scenario": "place",
            "tasks": {"click": None},
            "features": {"user": None, "item": None},
            "split": {"random": [0.6, 0.2, 0.2]},
        },
        "train": {"local_steps": 1},
        "methods": ["fedavg", "pf-msmtrec"],
    }
    (folder / "good.yaml").write_text(safe_dump(config))
    (folder / "bad.yaml").write_text(safe_dump({**config, "train": {"local_stops": 1}}))
    environment = {**os.environ, "MSMTREC_CACHE": str(folder / "cache"), "MSMTREC_DATA": str(folder / "data")}
    command = [sys.executable, "-c", SCRIPT, *LIGHT, *READING]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    read: Found = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("command", LIGHT)
def test_no_rows_no_polars(found: Found, command: str) -> None:
    assert found[command] == [2 if command in REFUSED else 0, []]


@pytest.mark.parametrize("command", READING)
def test_no_network_no_torch(found: Found, command: str) -> None:
    code, loaded = found[command]
    assert (code, set(loaded) - {"polars"}) == (2 if command in REFUSED else 0, set())


def test_a_profile_loads_no_torch(found: Found) -> None:
    assert found["profile"] == [0, []]
