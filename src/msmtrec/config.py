"""A config file, checked before anything runs: unknown keys are refused with the nearest valid one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from msmtrec.data.sources.aliexpress import AliExpress
from msmtrec.data.sources.kuairand import KuaiRand
from msmtrec.data.sources.movielens import MovieLens
from msmtrec.data.sources.movielens_100k import MovieLens100K
from msmtrec.data.sources.synthetic import Synthetic
from msmtrec.data.sources.tabular import Tabular
from msmtrec.data.sources.tenrec import Tenrec
from msmtrec.errors import UserError, nearest
from msmtrec.methods import METHODS, Entry, MethodSettings
from msmtrec.models.mmoe import MMoESettings
from msmtrec.settings import Settings
from msmtrec.training import FineTune, TrainSettings

Source = AliExpress | KuaiRand | MovieLens | MovieLens100K | Synthetic | Tabular | Tenrec
SOURCES: dict[str, type[Source]] = {
    "aliexpress": AliExpress,
    "kuairand": KuaiRand,
    "movielens-1m": MovieLens,
    "movielens-100k": MovieLens100K,
    "synthetic": Synthetic,
    "tabular": Tabular,
    "tenrec": Tenrec,
}
MODELS: dict[str, type[MMoESettings]] = {"mmoe": MMoESettings}


@dataclass(frozen=True)
class Row:
    """One candidate for a column of the result table: a method with everything resolved.

    Args:
        name: the column.
        candidate: what tells it from the column's other candidates ("" where nothing is tuned).
    """

    name: str
    candidate: str
    method: str
    preset: str | None
    settings: MethodSettings
    model: MMoESettings
    train: TrainSettings
    fine_tune: FineTune | None

    @property
    def entry(self) -> Entry:
        return METHODS[self.method]

    def as_dict(self) -> dict[str, Any]:
        """In the form a config file has, with nothing left to defaults."""
        return {
            "method": self.method,
            "options": self.settings.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "train": self.train.model_dump(mode="json"),
            "fine_tune": self.fine_tune.model_dump(mode="json") if self.fine_tune else None,
        }


@dataclass(frozen=True)
class Config:
    """A whole experiment.

    Args:
        rows: the table's columns; each is a tuple of candidates, among which validation chooses.
        seeds: one federation each.
        jobs: how many rows train at the same time, each in a process with one thread.
    """

    name: str
    data: Source
    rows: tuple[tuple[Row, ...], ...]
    seeds: tuple[int, ...]
    jobs: int

    def as_dict(self) -> dict[str, Any]:
        """Everything resolved, as run directories hold it: method -> candidate -> settings."""
        return {
            "name": self.name,
            "data": self.data.model_dump(mode="json"),
            "methods": {row[0].name: {r.candidate: r.as_dict() for r in row} for row in self.rows},
            "seeds": list(self.seeds),
            "jobs": self.jobs,
        }


_KEYS = ("name", "data", "model", "train", "methods", "tune", "seeds", "jobs")
_ROW_KEYS = ("method", "preset", "options", "model", "train", "fine_tune")
Kind = TypeVar("Kind", bound=Settings)


def load_config(path: Path, overrides: tuple[str, ...] = ()) -> Config:
    """Read YAML and apply `a.b=c` overrides.

    Raises:
        UserError: the file is missing or no YAML mapping, or anything in it is not valid.
    """
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read the config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds no settings; see configs/ for examples")
    for override in overrides:
        apply_override(raw, override)
    return parse_config(raw, default_name=path.stem)


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one dotted key in place; the value is read as YAML."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"--set takes key=value, such as train.rounds=5, not '{override}'")
    *path, last = key.split(".")
    place: Any = raw
    for part in path:
        if place.get(part) is None:
            place[part] = {}
        place = place[part]
        if not isinstance(place, dict):
            raise UserError(f"--set {override}: '{part}' is a value, not a group of settings")
    try:
        value = yaml.safe_load(text)
        if isinstance(value, str):  # YAML reads 1e-3 as text
            value = float(value) if _is_number(value) else value
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: the value is no valid YAML") from error
    place[last] = value


def parse_config(raw: Mapping[str, Any], default_name: str = "experiment") -> Config:
    """Check a mapping and resolve every row.

    Raises:
        UserError: naming the key.
    """
    _known(raw, _KEYS, "")
    for needed in ("data", "methods"):
        if not raw.get(needed):
            raise UserError(f"the config has no '{needed}'; see configs/ for examples")
    data = _parse_data(_mapping(raw["data"], "data"))
    methods = raw["methods"]
    if isinstance(methods, list):
        methods = dict.fromkeys(methods)
    tune = _parse_tune(raw.get("tune"))
    rows = tuple(_candidates(str(name), row or {}, raw, tune) for name, row in _mapping(methods, "methods").items())
    seeds = raw.get("seeds", 3)
    seeds = range(seeds) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds
    if not isinstance(seeds, range | list | tuple) or not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"seeds must be a count or a list of different integers, not {raw.get('seeds')!r}")
    if not all(isinstance(seed, int) for seed in seeds):
        raise UserError(f"seeds must be integers, not {raw.get('seeds')!r}")
    jobs = raw.get("jobs", 1)
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise UserError(f"jobs must be a count of processes, at least 1, not {jobs!r}")
    return Config(str(raw.get("name", default_name)), data, rows, tuple(seeds), jobs)


def _parse_data(raw: Mapping[str, Any]) -> Source:
    source = raw.get("source")
    if source not in SOURCES:
        hint = nearest(str(source), SOURCES) if source else "valid: " + ", ".join(SOURCES)
        raise UserError(f"data.source is {source!r}; {hint}")
    return build(SOURCES[source], raw, "data")


def _parse_tune(raw: Any) -> list[dict[str, Any]]:
    """The grid as a list of overrides, the same for every row."""
    grid = _mapping(raw or {}, "tune")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"tune.{key} must be a list of values to try, not {values!r}")
        if key.partition(".")[0] not in ("train", "model"):
            raise UserError(
                f"tune.{key}: only train.* and model.* exist in every row; {nearest(key, ('train.learning_rate',))}"
            )
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def _candidates(name: str, raw: Any, whole: Mapping[str, Any], tune: list[dict[str, Any]]) -> tuple[Row, ...]:
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
        raise UserError(f"methods.{name}: a row's name is a folder; use letters, digits, '.', '_', '+' and '-'")
    rows = []
    for choice in tune:
        own = deepcopy(_mapping(raw, f"methods.{name}"))
        for key, value in choice.items():
            apply_override(own, f"{key}={yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}")
        label = ",".join(
            f"{key.rpartition('.')[2]}={value:g}" if isinstance(value, float) else f"{key.rpartition('.')[2]}={value}"
            for key, value in choice.items()
        )
        rows.append(_parse_row(name, own, whole, label))
    return tuple(rows)


def _parse_row(name: str, raw: Any, whole: Mapping[str, Any], candidate: str) -> Row:
    place = f"methods.{name}"
    raw = _mapping(raw, place)
    _known(raw, _ROW_KEYS, place)
    method = raw.get("method", name)
    if method not in METHODS:
        raise UserError(f"{place}.method is '{method}'; {nearest(str(method), METHODS)}")
    entry, preset = METHODS[method], raw.get("preset")
    if preset is not None and preset not in entry.presets:
        raise UserError(f"{place}.preset is '{preset}'; {nearest(str(preset), entry.presets)}")
    options = {
        **entry.defaults,
        **(entry.presets[preset] if preset else {}),
        **_mapping(raw.get("options") or {}, f"{place}.options"),
    }
    settings: MethodSettings = build(entry.settings, options, f"{place}.options")
    model_keys = {"template": entry.template} | _mapping(whole.get("model") or {}, "model")
    model_keys |= _mapping(raw.get("model") or {}, f"{place}.model")
    model_name = model_keys.get("name", "mmoe")
    if model_name not in MODELS:
        raise UserError(f"model.name is '{model_name}'; {nearest(str(model_name), MODELS)}")
    train = _mapping(whole.get("train") or {}, "train")
    own = _mapping(raw.get("train") or {}, f"{place}.train")
    if "local_steps" in own or "local_epochs" in own:
        train = {k: v for k, v in train.items() if k not in ("local_steps", "local_epochs")}
    tune = raw.get("fine_tune")
    fine_tune = build(FineTune, {} if tune is True else tune, f"{place}.fine_tune") if tune else None
    return Row(
        name,
        candidate,
        method,
        preset,
        settings,
        build(MODELS[model_name], model_keys, "model"),
        build(TrainSettings, {**train, **own}, "train"),
        fine_tune,
    )


def build(kind: type[Kind], raw: Any, place: str) -> Kind:
    """Validate a mapping as settings, with one clear sentence for the first thing wrong."""
    raw = _mapping(raw, place)
    _known(raw, tuple(kind.model_fields), place)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([place, *(str(part) for part in first["loc"])])
        message = first["msg"].removeprefix("Value error, ")
        given = "" if first["type"] == "value_error" else f" (given: {first['input']!r})"
        raise UserError(f"{where}: {message}{given}") from error


def _mapping(raw: Any, place: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise UserError(f"{place} must be a group of settings, not {raw!r}")
    return dict(raw)


def _known(raw: Mapping[str, Any], valid: tuple[str, ...], place: str) -> None:
    for key in raw:
        if key not in valid:
            full = f"{place}.{key}" if place else str(key)
            raise UserError(f"unknown config key '{full}'; {nearest(str(key), valid)}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
