"""Synthetic logs as files that another source reads: the rows, a config that trains on them, and the truth."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.version import __version__
from msmtrec.base.yaml import dump_yaml
from msmtrec.data.snapshot import digest_of
from msmtrec.logs.sources.settings.synthetic import Synthetic
from msmtrec.logs.synthetic.bayes import Truth
from msmtrec.logs.synthetic.files import COUNTRIES, Written, write_original, write_processed, write_tables

FORMS = ("csv", "parquet", "aliexpress", "aliexpress-original")
"""A file per scenario, for source tabular; or either form of the AliExpress release, for source aliexpress."""
TRUTH, CONFIG = "truth.json", "config.yaml"
_TRAINING = {"train": {"rounds": 10, "local_epochs": 1}, "methods": ["local", "fedavg-all"]}


def synthesize(
    source: Synthetic,
    folder: Path,
    form: str = "csv",
    config: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Truth:
    """Write the rows, `config.yaml` and `truth.json`; the folder appears complete or not at all.

    Args:
        folder: absent, empty, or an earlier result of this function, which is replaced.
        form: one of FORMS.
        config: what config.yaml holds besides `data`; default: ten rounds of `local` and `fedavg-all`.
        progress: takes rows written, and how many there will be (rows that are written twice count twice).

    Raises:
        UserError: the form does not fit the settings, the folder holds something else, or it cannot be written.
    """
    folder, names = folder.resolve(), names_in_files(source, form)
    data = data_settings(source, form)
    with _appearing(folder) as place:
        written = Written(source.drawn(), names, progress)
        if form in ("csv", "parquet"):
            write_tables(written, place, form)
        elif form == "aliexpress":
            write_processed(written, place)
        else:
            write_original(written, place)
        truth = source.truth().renamed(names)
        text = dump_yaml({**(config or _TRAINING), "data": data})
        (place / CONFIG).write_text(text)
        files = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        about = {
            "msmtrec": __version__,
            "format": form,
            "settings": source.model_dump(mode="json"),
            "bayes": truth.as_dict(),
            "names": names,
            "files": {name: digest_of(place / name) for name in files},
        }
        (place / TRUTH).write_text(json.dumps(about, indent=1, allow_nan=False) + "\n")
    return truth


def names_in_files(source: Synthetic, form: str) -> dict[str, str]:
    """Scenario -> what the files call it.

    Raises:
        UserError: the form does not fit the settings.
    """
    if form not in FORMS:
        raise UserError(f"--format is '{form}'; valid: {', '.join(FORMS)}")
    names = source.scenario_names()
    if form in ("csv", "parquet"):
        return {name: name for name in names}
    if source.shape != "aliexpress":
        raise UserError(f"--format {form} needs data.shape aliexpress, not {source.shape}; set data.shape=aliexpress")
    if len(names) > len(COUNTRIES):
        raise UserError(
            f"--format {form} has only the countries {', '.join(COUNTRIES)}, and data.scenarios is {len(names)}; set"
            f" data.scenarios={len(COUNTRIES)} or take --format csv"
        )
    return dict(zip(names, COUNTRIES, strict=False))


def data_settings(source: Synthetic, form: str) -> dict[str, Any]:
    """The `data` part of a config that lies beside the files."""
    names = names_in_files(source, form)
    extra = {"allow_one_class": True} if source.allow_one_class else {}
    if form in ("csv", "parquet"):
        schema = source.log_schema()
        return {
            "source": "tabular",
            "name": "synthetic",
            "files": {name: f"{name}.{form}" for name in names},
            "tasks": {task.name: _some(column=task.column, within=task.within) for task in schema.tasks},
            "features": {feature.name: _column(feature) for feature in schema.features},
            "split": {"column": "split"},
            "group": schema.group,
            **extra,
        }
    return {"source": "aliexpress", "folder": ".", "countries": list(names.values()), **extra}


def _column(feature: Feature) -> dict[str, Any]:
    if feature.kind == "numeric":
        return _some(kind="numeric", missing=None if feature.missing else False)
    return {"shared": {"ids": feature.shared.size}} if feature.shared else {}


def _some(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value not in (None, "")}


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder beside it that takes its place at the end, and of which nothing stays after a failure."""
    _refuse_others(folder)
    place = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        yield place
        _refuse_others(folder)  # also what has come meanwhile
        if folder.exists():
            shutil.rmtree(folder)
        place.rename(folder)
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror or error}; make room or choose another folder"
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _refuse_others(folder: Path) -> None:
    """Only what an earlier call has written, and nobody has worked on since, may be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; choose another folder")
    try:
        ours = dict(json.loads((folder / TRUTH).read_text())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        ours = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name != (TRUTH if ours else "") and ours.get(name) != digest_of(path):
            raise UserError(
                f"{folder} holds {name}, which `msmtrec data synthesize` did not write like that; choose another folder"
                " or empty this one"
            )
