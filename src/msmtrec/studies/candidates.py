"""The candidates of a benchmark: the same points of the common space for every contender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, floor, log
from typing import Any

from numpy.typing import NDArray

from msmtrec.base.streams import numpy_stream
from msmtrec.config.bench import Bench
from msmtrec.config.contender import Contender
from msmtrec.config.space import Range, Space

_DIGITS = 3
"""Of a drawn number that is not whole."""


@dataclass(frozen=True)
class Candidate:
    """One point of a contender's space.

    Args:
        contender: with `label` as its candidate.
        chosen: dotted key -> value: what it has of the space.
    """

    contender: Contender
    chosen: Mapping[str, Any]

    @property
    def label(self) -> str:
        return self.contender.candidate


def candidates_of(bench: Bench) -> dict[str, tuple[Candidate, ...]]:
    """Contender -> its candidates, those that come to the same once: under the number of the first of them.

    Raises:
        UserError: a value is not possible.
    """
    found = {}
    for name, space in bench.spaces.items():
        different: dict[str, Candidate] = {}
        for number, chosen in enumerate(points(space, bench.settings.candidates), start=1):
            one = Candidate(bench.candidate(name, chosen, f"c{number:02}"), chosen)
            different.setdefault(repr(one.contender.resolved), one)
        found[name] = tuple(different.values())
    return found


def points(space: Space, number: int) -> list[dict[str, Any]]:
    """So many points of a space, each as dotted key -> value.

    Latin hypercube sampling (McKay, Beckman & Conover 1979): of every key's distribution each of `number` equal parts
    is met once, and every value of a list as often as any other, give or take one. A key's draws follow from its name
    and the number alone. So a key that several contenders have gives all of them the same values in the same order,
    whatever else they have.
    """
    drawn = {key: [value_at(u, values) for u in _parts(key, number)] for key, values in space.items()}
    return [_settings({key: values[n] for key, values in drawn.items()}) for n in range(number)]


def _parts(key: str, number: int) -> NDArray[Any]:
    """[number] numbers in [0, 1), one in each of as many equal parts, in any order."""
    stream = numpy_stream("bench", key, number)
    found: NDArray[Any] = (stream.permutation(number) + stream.random(number)) / number
    return found


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value; the value of a group is a group."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= {key: value} if "." in key else {f"{key}.{inner}": one for inner, one in value.items()}
    return found


def value_at(u: float, values: Range | list[Any]) -> Any:
    """The value at a place in [0, 1) of a list or range."""
    if isinstance(values, list):
        return values[_place(u, len(values))]
    low, high, step = values.low, values.high, values.step
    if values.whole and not values.log:
        return low + (step or 1) * _place(u, (high - low) // (step or 1) + 1)
    if step is not None:
        return _rounded(low + step * _place(u, floor((high - low) / step + 1e-9) + 1))
    if values.whole:
        return min(high, floor(exp(log(low) + u * (log(high + 1) - log(low)))))
    value = exp(log(low) + u * (log(high) - log(low))) if values.log else low + u * (high - low)
    return min(max(_rounded(value), low), high)


def _place(u: float, number: float) -> int:
    return min(int(u * number), int(number) - 1)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
