"""Values far from all others: those that no network can compute with, and those that spoil their column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.data.encoding.scaling import Scaler, Standard, values_of
from msmtrec.data.table import EncodedData

LARGEST = 1e12
"""Standard deviations that an input may have: layers multiply it, Adam squares gradients, and 32 bits end at 3e38."""
FAR = 1e4
"""Standard deviations from which a caution is due; and, in training rows, ranges of all other values."""
_EXACT, _IDS = 2.0**53, 2.0**64
"""Whole numbers beyond the first are rounded; those up to the second are mostly ids, hashes or nanoseconds."""


@dataclass
class Ends:
    """The two lowest and the two highest distinct values of one numeric column in one split of a scenario.

    Args:
        rows: value -> the first row that holds it, counted from 1 within the scenario.
    """

    rows: dict[float, int] = field(default_factory=dict)

    def add(self, values: NDArray[np.float64], rows: NDArray[np.int64], before: int = 0) -> None:
        """The next values, finite, and their rows, counted from 0 behind those `before`."""
        if not len(values):
            return
        known = sorted(self.rows)
        for least, side in ((np.min, known), (np.max, known[::-1])):
            outer = least(values)
            if len(side) > 1 and (least((outer, side[1])) == side[1] or _nothing_between(values, outer, side)):
                continue  # as in most chunks: nothing lies beyond the two that are known
            inner = values[values != outer]
            for value in (outer, *([least(inner)] if len(inner) else [])):
                if value not in self.rows:
                    self.rows[float(value)] = before + int(rows[np.argmax(values == value)]) + 1
        kept = sorted(self.rows)
        self.rows = {value: self.rows[value] for value in dict.fromkeys((*kept[:2], *kept[-2:]))}

    @property
    def outermost(self) -> tuple[float, ...]:
        """The lowest and the highest value."""
        return (min(self.rows), max(self.rows)) if self.rows else ()


def _nothing_between(values: NDArray[np.float64], outer: float, side: list[float]) -> bool:
    """Whether the outermost value is the one that is known, and no value lies between the two that are.

    Args:
        side: the known values, the outermost first.
    """
    if outer != side[0]:
        return False
    beyond = values < side[1] if side[0] < side[1] else values > side[1]
    return bool(np.count_nonzero(beyond) == np.count_nonzero(values == outer))


def check_sizes(numbers: NDArray[np.float64], scaled: NDArray[np.float64], feature: Feature, where: str) -> None:
    """Refuse rows that the first pass has not seen, if a network cannot compute with them.

    Args:
        numbers, scaled: [N] as the rows hold them, and as the network would see them; NaN where they are missing.
        where: names the rows.

    Raises:
        UserError: naming the first that is too large.
    """
    if len(scaled) and max(np.fmax.reduce(scaled), -np.fmin.reduce(scaled)) > LARGEST:
        at = int(np.argmax(np.abs(scaled) > LARGEST))
        value = f"numeric column '{feature.name}' holds {float(numbers[at])!r} (row {at + 1})"
        raise UserError(f"{where}: {value}{_too_far(abs(float(scaled[at])))}")


def too_far(found: Odd) -> str:
    """A sentence on a value that no network can compute with."""
    return f"{found.place}{_too_far(found.size)}"


def _too_far(size: float) -> str:
    return (
        f": {size:.2g} standard deviations from the mean of the training rows, of which a network"
        f" can use {LARGEST:.0e}; correct it, or set clip: 10"
    )


Kind = Literal["far", "alone", "constant", "rounded"]


@dataclass(frozen=True)
class Odd:
    """An odd value of a numeric column.

    Args:
        kind: `far`: deviations from the training rows' mean (in a column that is constant there: from its value);
            `alone`: in training rows, ranges of the other values that it is away from those; `constant`: not the value
            that all training rows have; `rounded`: a whole number that 64-bit floats do not hold.
        row: the first row that holds it, counted from 1 within the scenario.
        size: how odd; of `constant`, the difference.
    """

    kind: Kind
    column: str
    scenario: str
    split: str
    _: KW_ONLY
    value: float
    row: int
    size: float

    @property
    def place(self) -> str:
        where = f"numeric column '{self.column}' of scenario '{self.scenario}'"
        return f"{where} holds {self.value!r} in its {self.split} rows (row {self.row} of the scenario)"


def farthest(feature: Feature, scaler: Scaler, ends: Mapping[tuple[str, str], Ends]) -> Iterator[Odd]:
    """Of every scenario and split, the value with most deviations before clipping."""
    for (scenario, split), found in ends.items():
        sizes = {value: deviations(feature, scaler, value) for value in found.outermost}
        if sizes:
            value = max(sizes, key=lambda v: abs(sizes[v]))
            yield Odd("far", feature.name, scenario, split, value=value, row=found.rows[value], size=abs(sizes[value]))


def deviations(feature: Feature, scaler: Scaler, value: float) -> float:
    """Of one value, as the network would see it if nothing were clipped."""
    return float(scaler.apply(values_of(np.array([value]), feature))[0])


def odd_values(feature: Feature, scaler: Scaler, ends: Mapping[tuple[str, str], Ends]) -> list[Odd]:
    """What a user should know of a column whose values are all usable."""
    if not isinstance(scaler, Standard):  # ranks know no distances
        return []
    odd = list(_rounded(feature, ends))
    trained = {value for (_, split), found in ends.items() if split == "train" for value in found.outermost}
    for found in farthest(feature, scaler, ends):
        if scaler.constant and found.value not in trained:
            odd.append(_as("constant", found, found.size))
        elif found.size > FAR and feature.clip is None:
            odd.append(found)
    return [*odd, *_alone(feature, ends)]


def _as(kind: Kind, found: Odd, size: float) -> Odd:
    return Odd(kind, found.column, found.scenario, found.split, value=found.value, row=found.row, size=size)


def _rounded(feature: Feature, ends: Mapping[tuple[str, str], Ends]) -> Iterator[Odd]:
    for (scenario, split), found in ends.items():
        for value in found.outermost:
            if _EXACT < abs(value) <= _IDS:
                yield Odd("rounded", feature.name, scenario, split, value=value, row=found.rows[value], size=abs(value))


def _alone(feature: Feature, ends: Mapping[tuple[str, str], Ends]) -> Iterator[Odd]:
    """Training values beside which all others are all but equal; where the others are equal, nothing is lost."""
    for (scenario, split), found in ends.items():
        values = sorted(found.rows)
        if split != "train" or len(values) < 3:
            continue
        seen = values_of(np.array(values), feature)
        with np.errstate(over="ignore", invalid="ignore"):
            between = seen[-2] - seen[1]  # of four or more values: there may be an odd one at either end
            for value, away, apart in (
                (values[-1], seen[-1] - seen[-2], between or seen[-2] - seen[0]),
                (values[0], seen[1] - seen[0], between or seen[-1] - seen[1]),
            ):
                if apart > 0 and away / apart > FAR:
                    size = float(away / apart)
                    yield Odd("alone", feature.name, scenario, split, value=value, row=found.rows[value], size=size)


def as_plain(odd: list[Odd]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(found) for found in odd]


def oddities(data: EncodedData) -> Iterator[str]:
    """A sentence for every odd column, about the scenario where it is oddest; one for all that were constant."""
    groups: dict[tuple[str, str], list[Odd]] = {}
    for table in data.tables.values():
        for raw in table.encoding["odd"]:
            found = Odd(**raw)
            groups.setdefault((found.kind, "" if found.kind == "constant" else found.column), []).append(found)
    for group in groups.values():
        worst = max(group, key=lambda found: found.size)
        yield f"{_SENTENCES[worst.kind](worst)}{_others(group)}"


_SENTENCES = {
    "far": lambda o: f"{o.place}, {o.size:.2g} standard deviations from the mean; correct it, or set clip",
    "alone": lambda o: (
        f"{o.place}, {o.size:.2g} times farther from all others than those are apart, so that scaling makes those all"
        " but equal; correct it, or set scale: log or quantile (clip comes after scaling)"
    ),
    "constant": lambda o: f"{o.place}, but training rows hold one value or none, so that nothing is learnt of it there",
    "rounded": lambda o: f"{o.place}; whole numbers beyond 2^53 are rounded: if it is an id, declare it categorical",
}


def _others(group: list[Odd]) -> str:
    places = len({(found.column, found.scenario) for found in group}) - 1
    return f" (and in {places} other column{'s' * (places > 1)} or scenario{'s' * (places > 1)})" if places else ""
