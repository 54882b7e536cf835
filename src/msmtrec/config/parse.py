"""A config file, checked before anything runs: unknown keys are refused with the nearest valid one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.sentences import build, group, known, one_of, optional_group, shown
from msmtrec.base.settings import by_name
from msmtrec.base.yaml import apply_override, read_yaml
from msmtrec.config.ablation import declared
from msmtrec.config.contender import Contender, parse_contender
from msmtrec.config.expected import Expected, parse_expected
from msmtrec.config.keys import JOBS, SEEDS, TOP
from msmtrec.config.places import check_there, folder_of, placed, placed_data
from msmtrec.config.tune import parse_grid, size
from msmtrec.logs.sources.settings.aliccp import AliCCP
from msmtrec.logs.sources.settings.aliexpress import AliExpress
from msmtrec.logs.sources.settings.epinions import Ciao, Epinions
from msmtrec.logs.sources.settings.kuairand import KuaiRand
from msmtrec.logs.sources.settings.movielens import MovieLens
from msmtrec.logs.sources.settings.movielens_100k import MovieLens100K
from msmtrec.logs.sources.settings.own_logs import OwnLogs
from msmtrec.logs.sources.settings.sql import Sql
from msmtrec.logs.sources.settings.synthetic import Synthetic
from msmtrec.logs.sources.settings.tabular import Tabular
from msmtrec.logs.sources.settings.tenrec import Tenrec
from msmtrec.record.declared import Ablation

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs

__all__ = [
    "SOURCES",
    "Config",
    "Contender",
    "Source",
    "load_config",
    "load_config_for_rows",
    "parse_config",
    "unknown_batches",
]

Source = (
    AliCCP | AliExpress | Ciao | Epinions | KuaiRand | MovieLens | MovieLens100K | Sql | Synthetic | Tabular | Tenrec
)
SOURCES: dict[str, type[Source]] = {
    "ali-ccp": AliCCP,
    "aliexpress": AliExpress,
    "ciao": Ciao,
    "epinions": Epinions,
    "kuairand": KuaiRand,
    "movielens-1m": MovieLens,
    "movielens-100k": MovieLens100K,
    "sql": Sql,
    "synthetic": Synthetic,
    "tabular": Tabular,
    "tenrec": Tenrec,
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole experiment.

    Args:
        contenders: each is a tuple of candidates, among which validation chooses.
        seeds: one federation each.
        jobs: how many contenders train at the same time, each in a process with its share of the
            cores.
        tune_candidates: how many candidates each contender may have.
        start: a finished run that training goes on from.
        ablation: contenders that differ from one of them in one place each, which are the tests then.
        expected: figures of others to print beside its own.
    """

    name: str
    data: Source
    contenders: tuple[tuple[Contender, ...], ...]
    seeds: tuple[int, ...]
    jobs: int
    tune_candidates: int
    start: Path | None = None
    ablation: Ablation | None = None
    expected: Expected | None = None

    def load(self) -> Logs:
        """Its logs.

        Raises:
            UserError: as those of the source; or a figure is expected of a line that they do not have.
        """
        logs = self.data.load()
        if self.expected is not None:
            self.expected.check(logs.schema)
        return logs

    def as_dict(self) -> dict[str, Any]:
        """Everything resolved, as run directories hold it: `parse_config` makes the same config of it, anywhere."""
        return {
            "name": self.name,
            "data": placed_data(self.data.model_dump(mode="json"), Path.cwd()),
            "methods": {candidates[0].name: candidates[0].as_dict() for candidates in self.contenders},
            "tune_candidates": self.tune_candidates,
            "seeds": list(self.seeds),
            "jobs": self.jobs,
            **({"start": str(Path.cwd() / self.start)} if self.start else {}),
            **({"ablate": self.ablation.as_dict()} if self.ablation else {}),
            **({"expected": self.expected.model_dump(mode="json")} if self.expected else {}),
        }


_KEYS = tuple(setting.name for setting in TOP)
_LONGEST = 100
"""Characters of a run's name, which is a folder."""


def load_config(path: Path, overrides: tuple[str, ...] = ()) -> Config:
    """Read YAML and apply `a.b=c` overrides.

    Relative paths in the file begin at its folder, those of overrides at the working directory.

    Raises:
        UserError: the file is missing or no YAML mapping, or anything in it is not valid.
    """
    return parse_config(read_config(path, overrides), default_name=path.stem)


def read_config(path: Path, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a file and the overrides say, paths placed as `load_config` has them, and nothing checked beyond that."""
    folder = folder_of(path)
    raw = placed(read_yaml(path), folder)
    for override in overrides:
        apply_override(raw, override)
    check_there(raw, folder)
    return raw


def load_config_for_rows(path: Path, overrides: tuple[str, ...] = ()) -> Config:
    """As `load_config`, for those who only look at the rows: `methods` and `train` need not be written yet.

    What is there of them is checked; without methods the common settings are those of one contender, `local`.
    """
    raw = read_config(path, overrides)
    raw = without_bench(with_length(raw) if raw.get("bench") is not None else raw)
    raw.pop("ablate", None)
    if not raw.get("methods"):
        parse_grid(raw.pop("tune", None), "tune")  # it may be of options that `local` has not
        train = optional_group(raw.get("train"), "train")
        length = {} if {"local_steps", "local_epochs"} & train.keys() else {"local_epochs": 1}
        raw |= {"methods": ["local"], "train": {**train, **length}}
    elif raw.get("train") is None:
        raw["train"] = {"local_epochs": 1}
    return parse_config(raw, default_name=path.stem)


def parse_config(raw: Mapping[str, Any], default_name: str = "experiment") -> Config:
    """Check a mapping and resolve every contender; relative paths begin at the working directory.

    Raises:
        UserError: naming the key.
    """
    known(raw, _KEYS, "")
    if raw.get("bench") is not None:
        raise UserError(
            "bench is for `msmtrec bench CONFIG`, which trains what it says; other commands have tune and seeds"
        )
    for needed in ("data", "methods"):
        if not raw.get(needed):
            raise UserError(f"the config has no '{needed}'; see configs/ for examples")
    data = parse_data(group(raw["data"], "data"))
    start = _parse_start(raw.get("start"))
    contenders, limit = parse_contenders(raw)
    if isinstance(data, Synthetic | OwnLogs) and (names := data.scenario_names()):
        for sentence in unknown_batches((contender for candidates in contenders for contender in candidates), names):
            raise UserError(sentence)
    return Config(
        name=parse_name(raw.get("name"), default_name),
        data=data,
        contenders=contenders,
        seeds=parse_seeds(raw.get("seeds", SEEDS)),
        jobs=_count(raw, "jobs", JOBS, "of processes"),
        tune_candidates=limit,
        start=start,
        ablation=declared(raw.get("ablate"), [column for (one, *_) in contenders for column in one.columns]),
        expected=parse_expected(
            raw.get("expected"), [column for own in contenders for one in own for column in one.columns]
        ),
    )


def parse_contenders(raw: Mapping[str, Any]) -> tuple[tuple[tuple[Contender, ...], ...], int]:
    """(each contender's candidates, how many it may have); errors as `parse_config`."""
    common = parse_grid(raw.get("tune"), "tune")
    limit = _count(raw, "tune_candidates", size(common), "of candidates")
    methods = parse_methods(raw["methods"]).items()
    return tuple(parse_contender(name, contender, raw, common, limit) for name, contender in methods), limit


def without_bench(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A config less what only `msmtrec bench` reads."""
    found = {key: value for key, value in raw.items() if key != "bench"}
    if isinstance(methods := raw.get("methods"), Mapping):
        found["methods"] = {
            name: {key: value for key, value in own.items() if key != "space"} if isinstance(own, Mapping) else own
            for name, own in methods.items()
        }
    return found


def with_length(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a benchmark tries may say how long a round is; a config must say it all the same."""
    train = optional_group(raw.get("train"), "train")
    return {**raw, "train": train if {"local_steps", "local_epochs"} & train.keys() else {**train, "local_steps": 1}}


def unknown_batches(contenders: Iterable[Contender], scenarios: Iterable[str]) -> Iterator[str]:
    """A sentence for every scenario that a batch size is given for and that does not exist."""
    valid = tuple(scenarios)
    batches = [contender.train.batch_size for contender in contenders]
    for name in dict.fromkeys(name for batch in batches if isinstance(batch, dict) for name in batch):
        if name not in valid:
            yield f"train.batch_size: there is no scenario '{name}'; {nearest(name, valid)}"


def incomplete_batches(contenders: Iterable[Contender], scenarios: Iterable[str]) -> Iterator[str]:
    """A sentence for every choice of batch sizes that leaves out scenarios; training refuses it."""
    valid = tuple(scenarios)
    for sizes in (contender.train.batch_size for contender in contenders):
        lacking = [name for name in valid if isinstance(sizes, dict) and name not in sizes]
        if lacking:
            yield f"train.batch_size has no number for {_listed(lacking)}; give one number, or one for each"


def check_batches(contenders: Iterable[Contender], scenarios: Iterable[str]) -> None:
    """Refuse batch sizes for scenarios that do not exist, and those that leave one out.

    Raises:
        UserError: naming the scenarios.
    """
    contenders, valid = tuple(contenders), tuple(scenarios)
    for sentence in (*unknown_batches(contenders, valid), *incomplete_batches(contenders, valid)):
        raise UserError(sentence)


def _listed(scenarios: list[str]) -> str:
    few = ", ".join(f"'{name}'" for name in scenarios[:3])
    return f"scenario{'s' * (len(scenarios) > 1)} {few}{f' and {len(scenarios) - 3} more' if scenarios[3:] else ''}"


def parse_data(raw: Mapping[str, Any]) -> Source:
    """A `data` section; errors as `parse_config`."""
    return build(SOURCES[one_of(raw.get("source"), SOURCES, "data.source")], raw, "data")


def parse_methods(raw: Any) -> dict[str, dict[str, Any]]:
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


def parse_seeds(raw: Any) -> tuple[int, ...]:
    seeds = list(range(raw)) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(seeds, list | tuple | range) or not seeds:
        raise UserError(f"seeds must be a count or a list of different integers, not {shown(raw)}")
    if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds):
        raise UserError(f"seeds must be integers, not {shown(raw)}")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"seeds must be a count or a list of different integers, not {shown(raw)}")
    return tuple(seeds)


def _parse_start(raw: Any) -> Path | None:
    if raw is not None and (not isinstance(raw, str) or not raw):
        raise UserError(f"start must be the directory of a finished run, not {shown(raw)}")
    return None if raw is None else Path(raw)


def parse_name(raw: Any, default: str) -> str:
    name = default if raw is None else str(raw)
    if isinstance(raw, bool | float | datetime | Mapping | list) or not _is_folder_name(name):
        raise UserError(
            f"name is {shown(default if raw is None else raw)}, but it names the run's folder in runs/; give a text"
            f" without '/', of at most {_LONGEST} characters, that does not begin with a dot"
        )
    return name


def _is_folder_name(name: str) -> bool:
    plain = name.isprintable() and not any(sign in name for sign in "/\\")
    return plain and name.strip() == name and not name.startswith(".") and 0 < len(name) <= _LONGEST


def _count(raw: Mapping[str, Any], key: str, default: int, what: str) -> int:
    value = raw.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{key} must be a count {what}, at least 1, not {shown(value)}")
    return value
