"""The config of a run that goes on from a finished one, with newer rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.yaml import read_yaml
from msmtrec.config.places import check_there, folder_of, placed_data
from msmtrec.experiment.choice import REFERENCE
from msmtrec.experiment.start import Start
from msmtrec.record.columns import contender_of


def config_to_go_on(
    start: Start, data: Sequence[Path], contenders: Sequence[str] = (), rounds: int | None = None
) -> dict[str, Any]:
    """As `parse_config` takes it.

    Args:
        data: a YAML file with a `data` section, whose relative paths begin at the file's folder, or files in the place
            of those of the run's own logs.
        contenders: of the run; default the one that it serves, and `local` as the reference.
        rounds: of each; default as many as before.

    Raises:
        UserError: the run has no such contender, or the data are neither.
    """
    run = start.run
    names = list(dict.fromkeys(map(contender_of, contenders or (_best(start), *({REFERENCE} & set(run.contenders))))))
    return {
        "name": start.config.name,
        "data": newer_data(start, data),
        "methods": {name: _settings(start, name, rounds) for name in names},
        "seeds": list(start.config.seeds),
        "jobs": start.config.jobs,
        "start": str(run.folder.absolute()),
    }


def _best(start: Start) -> str:
    """The contender with the best mean validation AUC among those that can go on."""
    known = [name for name in start.run.contenders if _may_go_on(start, name)]
    if not known:
        raise UserError(f"{start.run.folder} has no contender that can go on: pooled ones and trees are trained anew")
    return start.run.best if start.run.best in known else max(known, key=start.score)


def _may_go_on(start: Start, column: str) -> bool:
    entry = start.settings(column).entry
    return not (entry.pooled or entry.boosted)


def _settings(start: Start, name: str, rounds: int | None) -> dict[str, Any]:
    """Of the candidate that is served."""
    found = replace(start.contender(name), grid={}, start=None).as_dict()
    return found if rounds is None else {**found, "train": {**found["train"], "rounds": rounds}}


def newer_data(start: Start, given: Sequence[Path]) -> Mapping[str, Any]:
    """The `data` section for newer rows; arguments and errors as `config_to_go_on`."""
    if len(given) == 1 and given[0].suffix in (".yaml", ".yml"):
        raw = read_yaml(given[0])
        found = raw if "source" in raw else raw.get("data")
        if not isinstance(found, Mapping):
            raise UserError(f"{given[0]} has no 'data' section; it says which logs are new, as in a config")
        folder = folder_of(given[0])
        data = placed_data(found, folder)
        check_there({"data": data}, folder)
        return data
    own = start.config.data.model_dump(mode="json", exclude_unset=True)
    if own["source"] != "tabular" or not isinstance(own.get("files"), str | list):
        raise UserError(
            f"{start.run.folder} was trained on {own['source']} logs that are not one set of files; give --data a YAML"
            " file with a 'data' section"
        )
    for path in given:
        if any(sign in str(path) for sign in "*?[") or path.exists():
            continue
        raise UserError(f"there is no file {path}")
    return {**own, "files": [str(path) for path in given]}
