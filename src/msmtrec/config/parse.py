"""A config file, checked before anything runs: unknown keys are refused with the nearest valid one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.sentences import build, group, known, one_of, optional_group, shown
from msmtrec.base.settings import by_name
from msmtrec.base.yaml import apply_override, read_yaml, set_value
from msmtrec.config.train import FineTune, TrainSettings
from msmtrec.logs.sources.aliccp import AliCCP
from msmtrec.logs.sources.aliexpress import AliExpress
from msmtrec.logs.sources.kuairand import KuaiRand
from msmtrec.logs.sources.movielens import MovieLens
from msmtrec.logs.sources.movielens_100k import MovieLens100K
from msmtrec.logs.sources.sql import Sql
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.logs.sources.tabular import OwnLogs, Tabular
from msmtrec.logs.sources.tenrec import Tenrec
from msmtrec.methods import METHODS, Entry, MethodSettings
from msmtrec.models import MODELS
from msmtrec.models.base import ModelSettings

Source = AliCCP | AliExpress | KuaiRand | MovieLens | MovieLens100K | Sql | Synthetic | Tabular | Tenrec
SOURCES: dict[str, type[Source]] = {
    "ali-ccp": AliCCP,
    "aliexpress": AliExpress,
    "kuairand": KuaiRand,
    "movielens-1m": MovieLens,
    "movielens-100k": MovieLens100K,
    "sql": Sql,
    "synthetic": Synthetic,
    "tabular": Tabular,
    "tenrec": Tenrec,
}


@dataclass(frozen=True)
class Contender:
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
    model: ModelSettings
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
        contenders: the table's columns; each is a tuple of candidates, among which validation chooses.
        seeds: one federation each.
        jobs: how many contenders train at the same time, each in a process with one thread.
    """

    name: str
    data: Source
    contenders: tuple[tuple[Contender, ...], ...]
    seeds: tuple[int, ...]
    jobs: int

    def as_dict(self) -> dict[str, Any]:
        """Everything resolved, as run directories hold it: method -> candidate -> settings."""
        return {
            "name": self.name,
            "data": self.data.model_dump(mode="json"),
            "methods": {
                contender[0].name: {r.candidate: r.as_dict() for r in contender} for contender in self.contenders
            },
            "seeds": list(self.seeds),
            "jobs": self.jobs,
        }


_KEYS = ("name", "data", "model", "train", "methods", "tune", "seeds", "jobs")
_CONTENDER_KEYS = ("method", "preset", "options", "model", "train", "fine_tune")
_LONGEST = 100
"""Characters of a candidate's name, which is a folder."""


def load_config(path: Path, overrides: tuple[str, ...] = ()) -> Config:
    """Read YAML and apply `a.b=c` overrides.

    Raises:
        UserError: the file is missing or no YAML mapping, or anything in it is not valid.
    """
    raw = read_yaml(path)
    for override in overrides:
        apply_override(raw, override)
    return parse_config(raw, default_name=path.stem)


def parse_config(raw: Mapping[str, Any], default_name: str = "experiment") -> Config:
    """Check a mapping and resolve every contender.

    Raises:
        UserError: naming the key.
    """
    known(raw, _KEYS, "")
    for needed in ("data", "methods"):
        if not raw.get(needed):
            raise UserError(f"the config has no '{needed}'; see configs/ for examples")
    data = _parse_data(group(raw["data"], "data"))
    contenders = tuple(_candidates(name, contender, raw) for name, contender in _parse_methods(raw["methods"]).items())
    if isinstance(data, Synthetic | OwnLogs) and (names := data.scenario_names()):
        for sentence in unknown_batches((contender for candidates in contenders for contender in candidates), names):
            raise UserError(sentence)
    jobs = raw.get("jobs", 1)
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise UserError(f"jobs must be a count of processes, at least 1, not {shown(jobs)}")
    return Config(str(raw.get("name", default_name)), data, contenders, _parse_seeds(raw.get("seeds", 3)), jobs)


def unknown_batches(contenders: Iterable[Contender], scenarios: Iterable[str]) -> Iterator[str]:
    """A sentence for every scenario that a batch size is given for and that does not exist."""
    valid = tuple(scenarios)
    sizes = [contender.train.batch_size for contender in contenders]
    for name in dict.fromkeys(name for size in sizes if isinstance(size, dict) for name in size):
        if name not in valid:
            yield f"train.batch_size: there is no scenario '{name}'; {nearest(name, valid)}"


def _parse_data(raw: Mapping[str, Any]) -> Source:
    return build(SOURCES[one_of(raw.get("source"), SOURCES, "data.source")], raw, "data")


def _parse_methods(raw: Any) -> dict[str, dict[str, Any]]:
    """Contender name -> its settings; a plain list names contenders without any."""
    if not isinstance(raw, list):
        try:
            named = by_name(group(raw, "methods"))
        except ValueError as error:
            raise UserError(f"methods: {error}") from error
        return {str(name): optional_group(contender, f"methods.{name}") for name, contender in named.items()}
    for place, name in enumerate(raw):
        if not isinstance(name, str):
            raise UserError(
                f"methods[{place}] must be a method's name, not {shown(name)}; with settings, write methods as"
                " a mapping: {name: {method: …}}"
            )
        if raw.count(name) > 1:
            raise UserError(f"methods lists '{name}' twice; remove one")
    return {name: {} for name in raw}


def _parse_seeds(raw: Any) -> tuple[int, ...]:
    seeds = list(range(raw)) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(seeds, list | tuple | range) or not seeds:
        raise UserError(f"seeds must be a count or a list of different integers, not {shown(raw)}")
    if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds):
        raise UserError(f"seeds must be integers, not {shown(raw)}")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"seeds must be a count or a list of different integers, not {shown(raw)}")
    return tuple(seeds)


def _parse_tune(raw: Any) -> dict[str, dict[str, Any]]:
    """The grid: candidate's name -> overrides, alike for every contender; without it one candidate without a name."""
    grid = optional_group(raw, "tune")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"tune.{key} must be a list of values to try, not {shown(values)}")
        for value in values:
            if values.count(value) > 1:
                raise UserError(f"tune.{key} lists {shown(value)} twice; remove one")
        if str(key).partition(".")[0] not in ("train", "model"):
            hint = nearest(str(key), ("train.learning_rate",))
            raise UserError(f"tune.{key}: only train.* and model.* exist in every contender; {hint}")
    choices = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    return dict(zip(_labels(choices), choices, strict=True))


def _labels(choices: list[dict[str, Any]]) -> list[str]:
    """The candidates' names: their values, or numbers where those would be no different names of folders."""

    def text(value: Any) -> str:
        return f"{value:g}" if isinstance(value, float) else str(value)

    labels = [",".join(f"{k.rpartition('.')[2]}={text(v)}" for k, v in choice.items()) for choice in choices]
    if len(set(labels)) == len(labels) and all(len(label) <= _LONGEST and "/" not in label for label in labels):
        return labels
    return [f"candidate-{number}" for number in range(1, len(choices) + 1)]


def _candidates(name: str, raw: Mapping[str, Any], whole: Mapping[str, Any]) -> tuple[Contender, ...]:
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
        raise UserError(f"methods.{name}: a contender's name is a folder; use letters, digits, '.', '_', '+' and '-'")
    contenders = []
    for label, choice in _parse_tune(whole.get("tune")).items():
        own = deepcopy(dict(raw))
        for key, value in choice.items():
            set_value(own, key, deepcopy(value), f"tune.{key}")
        contenders.append(_parse_contender(name, own, whole, label))
    return tuple(contenders)


def _parse_contender(name: str, raw: dict[str, Any], whole: Mapping[str, Any], candidate: str) -> Contender:
    place = f"methods.{name}"
    known(raw, _CONTENDER_KEYS, place)
    method = one_of(raw.get("method", name), METHODS, f"{place}.method")
    entry, preset = METHODS[method], raw.get("preset")
    if preset is not None:
        preset = one_of(preset, entry.presets, f"{place}.preset")
    options = {
        **entry.defaults,
        **(entry.presets[preset] if preset else {}),
        **optional_group(raw.get("options"), f"{place}.options"),
    }
    settings: MethodSettings = build(entry.settings, options, f"{place}.options")
    train = optional_group(whole.get("train"), "train")
    own = optional_group(raw.get("train"), f"{place}.train")
    if "local_steps" in own or "local_epochs" in own:
        train = {k: v for k, v in train.items() if k not in ("local_steps", "local_epochs")}
    return Contender(
        name,
        candidate,
        method,
        preset,
        settings,
        _parse_model(whole.get("model"), raw.get("model"), place).for_method(template=entry.template),
        build(TrainSettings, {**train, **own}, "train"),
        _parse_fine_tune(raw.get("fine_tune"), f"{place}.fine_tune"),
    )


def _parse_model(common: Any, own: Any, place: str) -> ModelSettings:
    """The network's settings: the common group's, then the contender's own.

    A contender that names another network than the common group takes from that group what its network has too.
    """
    shared, mine = optional_group(common, "model"), optional_group(own, f"{place}.model")
    usual = one_of(shared.get("name", "mmoe"), MODELS, "model.name")
    build(MODELS[usual], shared, "model")
    name = one_of(mine.get("name", usual), MODELS, f"{place}.model.name")
    if name != usual:
        shared = {key: value for key, value in shared.items() if key in MODELS[name].model_fields}
    return build(MODELS[name], {**shared, **mine, "name": name}, f"{place}.model" if mine else "model")


def _parse_fine_tune(raw: Any, place: str) -> FineTune | None:
    """Off where absent or false; true and an empty group are the defaults."""
    if raw is None or raw is False:
        return None
    if raw is not True and not isinstance(raw, Mapping):
        raise UserError(f"{place} must be true, false or a group of settings, not {shown(raw)}")
    return build(FineTune, {} if raw is True else raw, place)
