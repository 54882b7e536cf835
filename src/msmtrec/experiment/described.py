"""What a run directory says of its rows and of the machine it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.shares import split_notes
from msmtrec.data.findings.finding import Weight
from msmtrec.data.findings.told import findings
from msmtrec.data.table import EncodedData, ScenarioTable
from msmtrec.record import directory

_PACKAGES = ("msmtrec", "torch", "numpy", "scipy", "polars", "safetensors")


def describe(folder: Path, data: dict[str, EncodedData], notes: tuple[str, ...]) -> None:
    """Write data.json.

    Raises:
        UserError: the run was begun on other rows.
    """
    if (folder / directory.DATA).exists():
        for variant, held in directory.read_json(folder / directory.DATA).items():
            if variant in data and held["fingerprint"] != data[variant].fingerprint:
                raise UserError(
                    f"{data[variant].origin} has changed since {folder} was begun;"
                    " restore the files or choose another --out"
                )
    directory.write_json(
        folder / directory.DATA,
        {
            variant: {
                "name": encoded.schema.name,
                "origin": encoded.origin,
                "fingerprint": encoded.fingerprint,
                "notes": [*notes, *split_notes(encoded), *_to_be_known(encoded)],
                "scenarios": {name: described(table) for name, table in encoded.tables.items()},
            }
            for variant, encoded in data.items()
        },
    )


def described(table: ScenarioTable) -> dict[str, Any]:
    """What data.json says of a scenario."""
    return {
        "rows": {split: len(rows) for split, rows in table.splits.items()},
        "vocabulary": table.encoding["vocabulary"],
        "unknown": table.encoding["unknown"],
        "without_group": table.encoding["without_group"],
    }


def _to_be_known(data: EncodedData) -> Iterator[str]:
    """What was found in the rows and is no warning, as `data check` says it."""
    return (found.text for found in findings(data) if found.weight is Weight.NOTE)


def unit_of(group: str | None) -> str:
    """What the tests count as drawn at random, in words: a group column may hold users, sessions or searches."""
    if group is None:
        return "rows"
    return "users" if "user" in group.lower() else f"'{group}' groups"


def without_group(data: Mapping[str, EncodedData]) -> Iterator[str]:
    """A sentence where rows lack the user that a schema promises."""
    encoded = next((found for name, found in data.items() if name != "pooled"), next(iter(data.values())))
    counts = {name: table.encoding["without_group"]["test"] for name, table in encoded.tables.items()}
    if missing := sum(counts.values()):
        rows = sum(len(table.splits["test"]) for table in encoded.tables.values())
        worst = max(counts, key=lambda name: counts[name])
        yield (
            f"{missing:,} of {rows:,} test rows have no '{encoded.schema.group}' (most in scenario '{worst}':"
            f" {counts[worst]:,}); in tests each of them counts as a user of its own"
        )


def environment(jobs: int, threads: int, device: str) -> dict[str, Any]:
    """Versions, revision and machine, so that a run can be told apart from another.

    Args:
        jobs: contenders that train at the same time.
        threads: of a contender that does not set its own; device: what `auto` is.
    """
    return {
        "python": sys.version.split()[0],
        "packages": versions(),
        "git": _git_revision(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": device,
        "jobs": jobs,
    }


def versions() -> dict[str, str | None]:
    """Package -> its version, of those that compute."""
    return {name: _version(name) for name in _PACKAGES}


@cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def _git_revision() -> str | None:
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
