"""The grid: which candidates a contender tries. A candidate's settings are dotted keys, such as train.learning_rate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import product
from math import prod
from typing import Any

from msmtrec.base.errors import UserError, close
from msmtrec.base.sentences import optional_group, shown
from msmtrec.base.yaml import set_value

Grid = dict[str, list[Any]]
GROUPS = ("train", "model", "options", "fine_tune", "statistics")
_LENGTHS = ("train.local_steps", "train.local_epochs")
"""Two names of one setting: how long a round is."""
_LONGEST = 100
"""Characters of a candidate's name, which is a folder."""


def parse_grid(raw: Any, place: str) -> Grid:
    """Key -> values; a key is one setting, or a group whose values are groups that set the same keys.

    Raises:
        UserError: naming the key.
    """
    grid: Grid = {}
    for key, values in optional_group(raw, place).items():
        if not isinstance(values, list | tuple) or not values:
            raise UserError(f"{place}.{key} must be a list of values to try, not {shown(values)}")
        head, dot, rest = str(key).partition(".")
        if head not in GROUPS or (dot and not rest):
            hint = (
                f"did you mean '{found}{dot}{rest}'?" if (found := close(head, GROUPS)) else "try train.learning_rate"
            )
            groups = f"{', '.join(GROUPS[:-1])} and {GROUPS[-1]}"
            raise UserError(f"{place}.{key}: a grid has keys of {groups}; {hint}")
        try:
            grid[str(key)] = json.loads(json.dumps(values))  # tuples are lists: a candidate's name is made of them
        except (TypeError, ValueError) as error:
            raise UserError(f"{place}.{key}: values must be numbers, text, lists or groups ({error})") from error
        for value in grid[str(key)]:
            if grid[str(key)].count(value) > 1:
                raise UserError(f"{place}.{key} lists {shown(value)} twice; remove one")
        if not dot:
            _check_groups(head, grid[head], f"{place}.{head}")
    return grid


def _check_groups(head: str, values: list[Any], place: str) -> None:
    sets = []
    for value in values:
        if not isinstance(value, dict) or not value:
            raise UserError(f"{place} must list groups of settings, such as {{local_steps: 30}}, not {shown(value)}")
        sets.append({_LENGTHS[0] if f"{head}.{key}" in _LENGTHS else f"{head}.{key}" for key in value})
    if any(keys != sets[0] for keys in sets):
        raise UserError(f"{place}: all groups of the list must set the same keys; name the missing ones too")


def size(grid: Grid) -> int:
    """How many candidates."""
    return prod(len(values) for values in grid.values())


def paths(key: str, values: list[Any]) -> list[str]:
    """The settings that a key of the grid sets, both names of a round's length included."""
    found = [key] if "." in key else [f"{key}.{inner}" for value in values for inner in value]
    more = _LENGTHS if any(path in _LENGTHS for path in found) else ()
    return list(dict.fromkeys([*found, *more]))


def joined(common: Grid, own: Grid, place: str) -> Grid:
    """A contender's grid: the common one, whose keys its own replace.

    Raises:
        UserError: two keys set one setting.
    """
    grid = {**common, **own}
    setters: dict[str, str] = {}
    for key, values in grid.items():
        where = f"{place}.tune.{key}" if key in own else f"tune.{key}"
        for path in paths(key, values):
            if path in setters:
                raise UserError(f"{setters[path]} and {where} both set {path}; remove one")
            setters[path] = where
    return grid


def clashes(grid: Grid, raw: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """(key of the grid, the setting that it would overwrite) where a contender sets itself what the grid sets.

    `place` is the contender's, as in methods.NAME.
    """
    for key, values in grid.items():
        for path in paths(key, values):
            if _holds(raw, path.split(".")):
                yield key, f"{place}.{path}"


def _holds(raw: Any, path: list[str]) -> bool:
    """Whether a mapping has a value at a path; null is one."""
    if not path:
        return True
    if not isinstance(raw, Mapping):
        return False
    return any(_holds(value, path[1:]) for key, value in raw.items() if str(key) == path[0])


def candidates(grid: Grid, raw: Mapping[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, settings) of every candidate: a contender's own settings and one combination of the grid.

    Without a grid there is one, and it has no name.
    """
    choices = []
    for values in product(*grid.values()):
        settings: dict[str, Any] = {}
        for key, value in zip(grid, values, strict=True):
            settings |= {key: value} if "." in key else {f"{key}.{inner}": found for inner, found in value.items()}
        choices.append(settings)
    for label, choice in zip(_labels(choices), choices, strict=True):
        own = deepcopy(dict(raw))
        for path, value in choice.items():
            set_value(own, path, deepcopy(value), f"{place}: tune.{path}")
        yield label, own


def _labels(choices: list[dict[str, Any]]) -> list[str]:
    """The candidates' names: their values, or numbers where those would be no different names of folders."""

    def text(value: Any) -> str:
        return f"{value:g}" if isinstance(value, float) else str(value)

    labels = [",".join(f"{k.rpartition('.')[2]}={text(v)}" for k, v in choice.items()) for choice in choices]
    if len(set(labels)) == len(labels) and all(len(label) <= _LONGEST and "/" not in label for label in labels):
        return labels
    return [f"candidate-{number}" for number in range(1, len(choices) + 1)]


def without(settings: dict[str, Any], grid: Grid) -> dict[str, Any]:
    """Resolved settings less what the grid sets, so that both can stand in one config."""
    rest = deepcopy(settings)
    for key, values in grid.items():
        for path in paths(key, values):
            *groups, last = path.split(".")
            place: Any = rest
            for name in groups:
                place = place.get(name) if isinstance(place, dict) else None
            if isinstance(place, dict):
                place.pop(last, None)
    return rest
