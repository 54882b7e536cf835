"""A deployment that tests look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from msmtrec.deployed.init import init

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
NODES = ("Nether-lands", "BE-fr", "BE-fr-2")


def made(folder: Path, config: Mapping[str, Any] = CONFIG, **more: Any) -> Path:
    """A deployment with a space in its path."""
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    init(folder / "a federation", path, **{"scenarios": None, "host": "127.0.0.1", "port": 8000, **more})
    return folder / "a federation"


def scripted(folder: Path, code: int) -> Path:
    """The folder `server` of a deployment whose script says how it was called and ends with a code."""
    server = folder / "federation" / "server"
    server.mkdir(parents=True)
    (server / "run.sh").write_text(f'#!/bin/sh\necho "$0 $@"\nexit {code}\n')
    (server / "run.sh").chmod(0o755)
    return server


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}
