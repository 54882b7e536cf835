"""The config of a benchmark: an ordinary one, and what every contender tries before its seeds are trained."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.sentences import build, group, optional_group
from msmtrec.base.settings import Settings
from msmtrec.config.contender import Contender, parse_contender
from msmtrec.config.parse import Config, parse_config, parse_methods, read_config, with_length, without_bench
from msmtrec.config.space import Space, as_dict, as_grid, joined, parse_space
from msmtrec.config.tune import clashes, paths
from msmtrec.methods import METHODS

FIRST_TUNE_SEED = 1000
"""Tuning has seeds of its own: no candidate is chosen because it suits a seed of the table."""
_ELSEWHERE = {
    "tune": "bench.space has what contenders try",
    "tune_candidates": "bench.candidates has their number",
    "seeds": "bench.seeds has their number",
    "start": "a benchmark begins anew",
    "ablate": "`msmtrec ablate` changes one contender in one place at a time",
}


class BenchSettings(Settings):
    """What every contender may try, and how many seeds its choice is then trained on.

    Args:
        candidates: that are drawn for every contender, of which those that come to the same count once.
        space: key -> values to try, as in tune, or a range of numbers: {low, high, log, step}. Keys of options only
            where every contender has them; keys of fine_tune and statistics for those that have these switched on.
        tune_seeds: seeds that candidates are trained on, none of which is a seed of the table.
        seeds: seeds that the chosen candidate is trained on.
        folds: windows of time that candidates are judged on: the validation rows and, rolled back, as long windows of
            training rows before them, each with what is earlier to train on. For logs split at one point of time.
        rungs: successive halving: in each rung the remaining candidates train on to twice as many rounds as in the one
            before, in the last one to all of them, and the better half goes on.
    """

    candidates: int = Field(12, ge=1)
    space: dict[str, Any] = Field(default_factory=dict)
    tune_seeds: int = Field(2, ge=1)
    seeds: int = Field(10, ge=1)
    rungs: int = Field(3, ge=1)
    folds: int = Field(1, ge=1)

    @field_validator("space", mode="before")
    @classmethod
    def _as_written(cls, raw: Any) -> dict[str, Any]:
        return as_dict(parse_space(raw, "bench.space"))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A whole benchmark.

    Args:
        config: its data, its name and its contenders, each with one candidate: as it is without the space.
        settings: the same for every contender.
        spaces: contender -> all that applies to it.
        raw: the config without what only a benchmark has.
    """

    config: Config
    settings: BenchSettings
    spaces: Mapping[str, Space]
    raw: Mapping[str, Any]

    @property
    def tune_seeds(self) -> tuple[int, ...]:
        return tuple(range(FIRST_TUNE_SEED, FIRST_TUNE_SEED + self.settings.tune_seeds))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.settings.seeds))

    def candidate(self, name: str, chosen: Mapping[str, Any], label: str) -> Contender:
        """The contender with settings of its space: dotted key -> value.

        Raises:
            UserError: they are not possible.
        """
        own = deepcopy(parse_methods(self.raw["methods"])[name])
        for path, value in chosen.items():
            _set(own, path.split("."), deepcopy(value))
        try:
            whole = with_length(self.raw) if METHODS[str(own.get("method", name))].alone else self.raw
            (found,) = parse_contender(name, own, whole, {}, 1)
            check_rungs(found, self.settings.rungs)
        except UserError as error:
            raise UserError(f"{'bench.space' if chosen else 'bench'}, {name} {label}: {error}") from error
        return replace(found, candidate=label)


def load_bench(path: Path, overrides: tuple[str, ...] = ()) -> Bench:
    """As `load_config`, for a config with `bench`; errors as `parse_bench`."""
    return parse_bench(read_config(path, overrides), default_name=path.stem)


def parse_bench(raw: Mapping[str, Any], default_name: str = "bench") -> Bench:
    """Check a mapping.

    Raises:
        UserError: naming the key.
    """
    if "bench" not in raw:
        raise UserError("the config has no 'bench', which says what contenders try; see configs/bench/ for examples")
    for key, instead in _ELSEWHERE.items():
        if raw.get(key) is not None:
            raise UserError(f"{key} is not for `msmtrec bench`: {instead}; remove it")
    settings = build(BenchSettings, optional_group(raw["bench"], "bench"), "bench")
    plain = without_bench(raw)
    methods = raw.get("methods")
    given = (
        {name: own for name, own in methods.items() if isinstance(own, Mapping)} if isinstance(methods, dict) else {}
    )
    for name, own in given.items():
        if own.get("tune") is not None:
            raise UserError(f"methods.{name}.tune is not for `msmtrec bench`; call it space")
    config = parse_config(with_length(plain), default_name)
    common = parse_space(settings.space, "bench.space")
    spaces = {one.name: _space_of(one, common, given.get(one.name, {})) for (one,) in config.contenders}
    for key, values in as_grid(common).items():
        if not any(key in space for space in spaces.values()):
            raise UserError(f"bench.space.{key}: no contender has {paths(key, values)[0]}; remove it")
    return Bench(config=config, settings=settings, spaces=spaces, raw=plain)


def check_rungs(contender: Contender, rungs: int) -> None:
    """Refuse rungs that would halve the rounds to less than one."""
    rounds = contender.train.rounds
    if not contender.entry.alone and rounds < 2 ** (rungs - 1):
        most = rounds.bit_length()
        raise UserError(
            f"bench.rungs: {rungs} rungs halve {rounds} round{'s' * (rounds > 1)} to less than one; give at most {most}"
        )


def _space_of(contender: Contender, common: Space, raw: Mapping[str, Any]) -> Space:
    """What applies to a contender.

    Raises:
        UserError: a key of its own does not apply, or sets what the contender sets itself.
    """
    place = f"methods.{contender.name}"
    own = parse_space(raw.get("space"), f"{place}.space")
    shared = {}
    for key, values in common.items():
        why = _lacks(contender, key, as_grid({key: values})[key])
        if why and key.split(".")[0] == "options" and key not in own:
            raise UserError(f"bench.space.{key}: {place} {why}; move it to methods.NAME.space of those that have it")
        if not why:
            shared[key] = values
    for key, values in as_grid(own).items():
        if why := _lacks(contender, key, values):
            raise UserError(f"{place}.space.{key}: {contender.name} {why}; remove it")
    space = joined(shared, own, place)
    entry = contender.entry
    options = {**entry.defaults, **(entry.presets[contender.preset] if contender.preset else {})}
    for key, setting in clashes(as_grid(space), {k: v for k, v in raw.items() if k != "space"}, place):
        where = f"{place}.space.{key}" if key in own else f"bench.space.{key}"
        raise UserError(f"{where} would overwrite {setting}; remove one of the two")
    for key, setting in clashes(as_grid(shared), {"options": options}, place):
        if key not in own:
            raise UserError(
                f"bench.space.{key} would overwrite {setting}, which its method or preset sets; move it to"
                " methods.NAME.space of those that are to try it"
            )
    return space


def _lacks(contender: Contender, key: str, values: list[Any]) -> str:
    """Why a key does not apply to a contender; empty where it does."""
    head = key.split(".")[0]
    if contender.entry.alone and head in ("train", "model", "fine_tune"):
        return "has no network"
    if head == "fine_tune" and contender.fine_tune is None:
        return "is not fine-tuned (fine_tune: true)"
    if head == "statistics" and contender.statistics is None:
        return "has no statistics (statistics: true)"
    fields = contender.entry.settings.model_fields
    for option in (path.split(".")[1] for path in paths(key, values) if head == "options"):
        if option not in fields:
            return f"has no option '{option}' ({nearest(option, fields) if fields else 'it has none'})"
    return ""


def _set(raw: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value in groups; true is a group that is switched on, and nothing one that is still empty."""
    *groups, last = path
    for name in groups:
        if raw.get(name) is None or raw[name] is True:
            raw[name] = {}
        raw[name] = group(raw[name], name)
        raw = raw[name]
    raw[last] = value
