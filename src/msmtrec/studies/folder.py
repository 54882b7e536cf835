"""The folder of a benchmark: a run directory of the chosen candidates, and beside it what was tried.

bench.yaml: what was asked · bench.json: what was tried · bench.csv: finished seeds, unless they go elsewhere ·
tuning/rung-N/contenders/NAME/CANDIDATE/: validation.json, metrics.jsonl and rounds.jsonl of every candidate
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.yaml import dump_yaml, read_yaml
from msmtrec.config.bench import Bench
from msmtrec.record import directory
from msmtrec.studies.candidates import Candidate

ASKED, TRIED, SEEDS = "bench.yaml", "bench.json", "bench.csv"
_SHOWN = 3


def asked(bench: Bench, candidates: Mapping[str, tuple[Candidate, ...]]) -> dict[str, Any]:
    """What the figures follow from."""
    settings = bench.settings.model_dump(mode="json", exclude={"space"})
    if settings["folds"] == 1:  # folders of earlier versions do not have it
        del settings["folds"]
    found = {
        "data": bench.config.as_dict()["data"],
        "bench": settings,
        "contenders": {name: {one.label: one.contender.resolved for one in own} for name, own in candidates.items()},
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def checked(folder: Path, wanted: Mapping[str, Any], *, resume: bool) -> dict[str, Any]:
    """What bench.yaml is to hold: what is asked, and the contenders that were asked before; nothing is written.

    Raises:
        UserError: the folder already holds a benchmark (without resume) or none (with it), or one in which the data,
            the numbers or a contender of the same name are others.
    """
    path = folder / ASKED
    if not path.exists():
        if folder.is_dir() and any(not one.name.startswith(".") for one in folder.iterdir()):
            raise UserError(f"{folder} holds files but no benchmark; choose another --out")
        if resume:
            raise UserError(f"there is no benchmark in {folder} to resume; start it without --resume")
        return dict(wanted)
    if not resume:
        raise UserError(f"{folder} already holds a benchmark; continue it with --resume or choose another --out")
    held = read_yaml(path)
    common = wanted["contenders"].keys() & held["contenders"].keys()
    one, two = (
        {**whole, "contenders": {name: own for name, own in whole["contenders"].items() if name in common}}
        for whole in (held, wanted)
    )
    different = [key for key, _, _ in directory.differences(one, two)]
    if different:
        more = f" and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
        raise UserError(
            f"{folder} holds a benchmark of another config (differs in: {', '.join(different[:_SHOWN])}{more});"
            " choose another --out, or give a changed contender another name"
        )
    return {**wanted, "contenders": {**held["contenders"], **wanted["contenders"]}}


@contextmanager
def discarded_if_untrained(folder: Path) -> Iterator[None]:
    """A benchmark that a mistake ended before its first round leaves nothing in the way of the next try."""
    try:
        yield
    except UserError:
        if not (folder / "tuning").exists() and not (folder / "contenders").exists():
            for name in (ASKED, TRIED, directory.ENVIRONMENT, directory.DATA, ".lock"):
                (folder / name).unlink(missing_ok=True)
            for name in (directory.ENCODERS, directory.LEDGERS):
                shutil.rmtree(folder / name, ignore_errors=True)
            if not any(folder.iterdir()):
                folder.rmdir()
        raise


def write_asked(folder: Path, wanted: Mapping[str, Any]) -> None:
    """bench.yaml."""
    with directory.writing(folder):
        directory.write_atomic(folder / ASKED, dump_yaml(dict(wanted)))


def rung_folder(folder: Path, rung: int, contender: str, candidate: str) -> Path:
    """Where a candidate trains in a rung, the first of which is 0."""
    return directory.contender_folder(folder / "tuning" / f"rung-{rung + 1}", contender, candidate)
