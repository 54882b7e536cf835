"""What a benchmark tries: keys of settings, each with a list of values or a range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build, optional_group, shown
from msmtrec.base.settings import Settings
from msmtrec.config.tune import Grid, parse_grid, paths


class Range(Settings):
    """Numbers between two ends: whole ones where all that is given is whole.

    Args:
        low, high: the ends, both possible.
        log: evenly in the logarithm; low must be above 0.
        step: multiples of it above low; null takes any number (of whole numbers: every one).
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(None, gt=0)

    @field_validator("low", "high", "step", mode="before")
    @classmethod
    def _number(cls, raw: Any) -> Any:
        if isinstance(raw, bool) or not isinstance(raw, int | float | None):
            raise ValueError(f"must be a number, not {shown(raw)}")
        return raw

    @model_validator(mode="after")
    def _not_empty(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, not {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log: true needs low above 0, not {self.low}")
        if self.log and self.step is not None:
            raise ValueError("step goes by equal differences and log: true does not; remove one")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError(f"step {self.step} is longer than the range from {self.low} to {self.high}")
        return self

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))


Space = dict[str, Range | list[Any]]


def parse_space(raw: Any, place: str) -> Space:
    """Keys as in `tune`, each with a list of values or a range.

    Raises:
        UserError: naming the key; two keys set one setting.
    """
    space: Space = {}
    for key, values in optional_group(raw, place).items():
        if isinstance(values, Mapping):
            found = build(Range, values, f"{place}.{key}")
            parse_grid({key: [found.low, found.high]}, place)  # the key is checked as that of a grid
            space[str(key)] = found
        else:
            space |= parse_grid({key: values}, place)
    return space


def as_grid(space: Space) -> Grid:
    """The space as a grid that sets the same settings: of a range its ends."""
    return {key: [found.low, found.high] if isinstance(found, Range) else found for key, found in space.items()}


def joined(common: Space, own: Space, place: str) -> Space:
    """A contender's space: the common one, whose keys its own replace.

    Raises:
        UserError: two keys set one setting.
    """
    space = {**common, **own}
    setters: dict[str, str] = {}
    for key, values in as_grid(space).items():
        where = f"{place}.space.{key}" if key in own else f"bench.space.{key}"
        for path in paths(key, values):
            if path in setters:
                raise UserError(f"{setters[path]} and {where} both set {path}; remove one")
            setters[path] = where
    return space


def as_dict(space: Space) -> dict[str, Any]:
    """In the form of a config."""
    return {
        key: found.model_dump(mode="json", exclude_defaults=True) if isinstance(found, Range) else found
        for key, found in space.items()
    }
