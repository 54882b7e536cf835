"""Commands wait for no library that only reading, training or predicting need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from yaml import safe_dump

ANSWERED = (
    "--version",
    "--help",
    "train --help",
    "bench --help",
    "ablate --help",
    "show --help",
    "report --help",
    "data --help",
    "deploy --help",
    "deploy schema told.json other.json",
    "list methods",
    "list models",
    "data list",
    "list datasets",
    "list settings",
    "data cache",
)
REFUSED = (
    "report",
    "report nowhere",
    "show nowhere",
    "calibrate nowhere",
    "predict nowhere --scenario a --input rows.csv --output scores.csv",
    "export nowhere --output models",
    "serve nowhere",
    "continue nowhere --data rows.csv",
    "add-scenario nowhere --data rows.csv",
    "train absent.yaml",
    "bench absent.yaml",
    "deploy init new --config absent.yaml",
    "deploy init new --config bad.yaml --scenarios a,b",
    "deploy add-node absent --scenario a",
    "deploy renew absent",
    "deploy check absent",
    "deploy schema absent",
    "deploy schema full",
    "deploy schema bad.yaml",
    "bench bad.yaml",
    "ablate absent.yaml",
    "ablate full --of x",
    "ablate good.yaml --of local",
    "ablate good.yaml --parts tower",
    "bench bad-bench.yaml",
    "train broken.yaml",
    "train bad.yaml",
    "train bad-source.yaml --log-format json",
    "train good.yaml --out full",
    "data check bad.yaml",
    "data describe bad-source.yaml",
    "data synthesize bad.yaml --out made-up",
    "data synthesize good.yaml --out made-up",
)
READING = ("data check good.yaml", "data describe good.yaml", "deploy schema node.yaml")
"""They do read rows."""
SOURCES: Mapping[str, Mapping[str, Any]] = {
    "ali-ccp": {},
    "aliexpress": {},
    "ciao": {},
    "epinions": {},
    "kuairand": {},
    "movielens-1m": {},
    "movielens-100k": {},
    "synthetic": {},
    "tabular": {
        "files": "logs.csv",
        "csv": {"separator": "tab"},
        "tables": {"items": {"files": "i.csv", "key": "item"}},
    },
    "sql": {"engine": "duckdb", "query": "SELECT 1"},
    "tenrec": {},
}
"""Source -> what it must be told besides what all own logs are."""
OWN = {
    "scenario": "place",
    "tasks": {"click": None},
    "features": {"user": None, "item": None},
    "split": {"random": [0.6, 0.2, 0.2]},
}
DECLARED = {"name": "own data", "features": [{"name": "user"}], "tasks": [{"name": "click"}]}

SCRIPT = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

LARGE = ("torch", "scipy", "sklearn", "polars", "pyarrow", "numpy")
found = {}

def note(what, code=0):
    found[what] = code, [name for name in LARGE if name in sys.modules]

def run(command):
    sys.argv = ["msmtrec", *command.split()]
    code = None
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        from msmtrec.cli.main import main
        try:
            main()
        except SystemExit as end:
            code = end.code
    note(command, code)

light, sources, reading = json.loads(sys.argv[1])
for command in light:
    run(command)
from msmtrec.config.parse import SOURCES, parse_data
for name in SOURCES:
    source = parse_data({"source": name, **sources.get(name, {})})
    list(source.cautions())
    hasattr(source, "present") and source.present()
    note(name)
for command in reading:
    run(command)
import msmtrec.profile.page.profile, msmtrec.profile.profile
note("profile")
print(json.dumps(found))
"""
"""All in one new interpreter, what needs least first: what the first of them loads shows in all."""

Found = Mapping[str, tuple[int, list[str]]]
"""command or source -> the exit code, and which of the large libraries are loaded after it"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("start-up")
    rows = "".join(f"u{n % 9},i{n % 7},{'ab'[n % 2]},{n // 3 % 2}\n" for n in range(200))
    (folder / "logs.csv").write_text(f"user,item,place,click\n{rows}")
    for name in ("data/ml-1m/ratings.dat", "data/ml-1m/users.dat", "data/ml-1m/movies.dat", "full/file"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    config = {
        "data": {"source": "tabular", "files": "logs.csv", **OWN},
        "train": {"local_steps": 1},
        "methods": ["fedavg", "pf-msmtrec"],
    }
    (folder / "good.yaml").write_text(safe_dump(config))
    (folder / "bad.yaml").write_text(safe_dump({**config, "train": {"local_stops": 1}}))
    (folder / "bad-bench.yaml").write_text(safe_dump({**config, "bench": {"space": {"train.local_steps": {"low": 2}}}}))
    (folder / "bad-source.yaml").write_text(safe_dump({**config, "data": {**config["data"], "feature": {}}}))
    (folder / "broken.yaml").write_text("data: [")
    (folder / "node.yaml").write_text(safe_dump({"scenarios": ["a"], "folder": "runs", "data": config["data"]}))
    for name in ("told", "other"):
        told = {"version": 1, "timed": False, "declared": {**DECLARED, "scenarios": {name: ["click"]}}}
        (folder / f"{name}.json").write_text(json.dumps(told))
    environment = {**os.environ, "MSMTREC_CACHE": str(folder / "cache"), "MSMTREC_DATA": str(folder / "data")}
    sources = {name: {**(OWN if name in ("tabular", "sql") else {}), **more} for name, more in SOURCES.items()}
    asked = json.dumps([[*ANSWERED, *REFUSED], sources, READING])
    command = [sys.executable, "-c", SCRIPT, asked]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    read: Found = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("command", [*ANSWERED, *REFUSED])
def test_no_rows_no_polars(found: Found, command: str) -> None:
    assert found[command] == [2 if command in REFUSED else 0, []]


@pytest.mark.parametrize("source", SOURCES)
def test_settings_of_a_source_need_no_polars(found: Found, source: str) -> None:
    assert found[source] == [0, []]


def test_every_source_is_asked(found: Found) -> None:
    assert set(found) == {*ANSWERED, *REFUSED, *SOURCES, *READING, "profile"}


@pytest.mark.parametrize("command", READING)
def test_no_network_no_torch(found: Found, command: str) -> None:
    code, loaded = found[command]
    assert (code, set(loaded) - {"polars", "pyarrow", "numpy"}) == (0, set())


def test_a_profile_loads_no_torch(found: Found) -> None:
    assert "torch" not in found["profile"][1]
