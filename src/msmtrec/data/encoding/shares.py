"""The shares of training, validation and test rows that a split came to, beside those that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.asked import Asked
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData

TOLERANCE, ROWS = 0.2, 3
"""A split is as it was asked for while it is off by no more than this share of its rows, or than so many rows."""
MOSTLY = 0.5
"""Rows that are not divided because their group has too few: a warning is due beyond this share of all rows."""
NAMED = 3
"""Scenarios whose own shares are told."""
_WHAT = "training / validation / test rows"

_Counts = NDArray[np.int64]
"""[3] rows of each split"""


def split_notes(data: EncodedData) -> Iterator[str]:
    """Of own logs one sentence: the shares of all rows, of the scenarios that differ most, and what is not divided."""
    asked, counts = _asked(data), _counts(data)
    if asked is None:
        return
    divided, whole = _sum(_counts(data, divided=True)), _sum(counts)
    text = [f"the split: {_percent(whole)} % {_WHAT}"]
    if asked.shares:
        text[0] += f" (asked: {_percent(asked.shares)} %)"
    if few := int((whole - divided).sum()):
        rest = f"; of the others {_percent(divided)} %" if asked.shares and divided.sum() else ""
        text.append(f"{few:,} of the rows train only, those of {asked.few}{rest}")
    if apart := _worst_first(counts, _shares(whole)):
        told = ", ".join(f"'{name}' {_percent(counts[name])} %" for name in apart[:NAMED])
        more = f" and {len(apart) - NAMED} more" if len(apart) > NAMED else ""
        text.append(f"scenarios that differ: {told}{more}")
    yield "; ".join(text)


def split_sentences(data: EncodedData) -> Iterator[str]:
    """Warnings: a split that says less than it seems to, or is not what was asked."""
    asked = _asked(data)
    if asked is None:
        return
    if asked.random and asked.within is None:
        yield (
            "the split is random: test rows are as old as training rows, and rows of one visit are in both, so that"
            " figures flatter; where there is a time, split by it"
        )
    elif asked.random:
        yield (
            f"the split is random: test rows are those of a few values of '{asked.within}', none of which was trained"
            " on, and they are as old as training rows; figures are about such newcomers alone"
        )
    divided, whole = _counts(data, divided=True), int(_sum(_counts(data)).sum())
    if asked.shares:
        yield from _unlike(asked, asked.shares, divided)
    if (few := whole - int(_sum(divided).sum())) > MOSTLY * whole:
        yield f"{few:,} of {whole:,} rows train only, those of {asked.few}: validation and test rows are about the rest"


def _unlike(asked: Asked, shares: Sequence[float], counts: Mapping[str, _Counts]) -> Iterator[str]:
    """Beyond the tolerance over all rows, or else in a scenario."""
    found, where = _sum(counts), ""
    if not _off(found, shares):
        scenarios = _worst_first(counts, shares)
        if not scenarios:
            return
        more = f" (and {len(scenarios) - 1} more)" if len(scenarios) > 1 else ""
        found, where = counts[scenarios[0]], f" in scenario '{scenarios[0]}'{more}"
    yield (
        f"the split has {_percent(found)} % {_WHAT}{where}, where {_percent(shares)} % were asked; {asked.remedy},"
        " or take it as it is"
    )


def _asked(data: EncodedData) -> Asked | None:
    """As it is kept in a cache, too; an early one has none."""
    raw = next(iter(data.tables.values())).encoding.get("asked")
    return Asked(**raw) if raw else None


def _counts(data: EncodedData, *, divided: bool = False) -> dict[str, _Counts]:
    """Scenario -> its rows in each split; `divided`: without those that train because their group has too few."""
    found = {}
    for table in data.tables.values():
        few = table.encoding["few"] if divided else {}
        for name in table.parts["train"]:
            slices = [table.parts[split][name] for split in SPLITS]
            found[name] = np.array([part.stop - part.start for part in slices]) - [few.get(name, 0), 0, 0]
    return found


def _sum(counts: Mapping[str, _Counts]) -> _Counts:
    return np.asarray(np.sum(list(counts.values()), axis=0))


def _shares(counts: _Counts) -> NDArray[np.float64]:
    return np.asarray(counts / max(counts.sum(), 1))


def _off(counts: _Counts, shares: Sequence[float] | NDArray[np.float64]) -> bool:
    expected = np.asarray(shares) * counts.sum()
    return bool((np.abs(counts - expected) > np.maximum(TOLERANCE * expected, ROWS)).any())


def _worst_first(counts: Mapping[str, _Counts], shares: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Scenarios beyond the tolerance."""
    distance = {name: np.abs(_shares(own) - shares).max() for name, own in counts.items() if _off(own, shares)}
    return sorted(distance, key=lambda name: -distance[name])


def _percent(shares: Sequence[float] | _Counts) -> str:
    return " / ".join(f"{100 * share:.3g}" for share in _shares(np.asarray(shares)))
