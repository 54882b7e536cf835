"""Numbers that stand for no number: one far value in many rows, which flattens all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np

from msmtrec.base.feature import Feature
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.extremes import Ends
from msmtrec.data.encoding.scaling import Scaler, Standard, scaled, values_of
from msmtrec.data.findings.finding import Finding, percent
from msmtrec.data.table import Rows

FAR = 3.0
"""Ranges of all other values that it lies away from them: those share a quarter of what the network sees, or less."""
SHARES = (0.001, 0.5)
"""Of training rows with a value. Rarer, it is an outlier; more frequent, it is what the column is about."""
FEWEST = 10
"""Training rows that it takes: fewer are slips."""
_COUNTS = 5.0
"""What -1 may stand beside without a word: values that are but 0, 1 … below it, as in a scale of -1, 0 and 1."""


@dataclass
class Sentinel:
    """A value of a numeric column that may be one, and how many training rows hold it.

    Args:
        column: of `Rows.numeric`; `flag`: the one that says where it is missing.
        seen: as the network sees it.
        away: what is said of it.
    """

    feature: str
    value: float
    _: KW_ONLY
    column: int
    flag: int | None
    seen: np.float32
    away: str
    rows: int = 0
    known: int = 0

    def add(self, rows: Rows) -> None:
        """The next training rows."""
        self.rows += int((rows.numeric[:, self.column] == self.seen).sum())
        self.known += len(rows) if self.flag is None else int((rows.numeric[:, self.flag] == 0).sum())

    def found(self, scenario: str) -> Iterator[Finding]:
        """A finding, if it is frequent."""
        share = self.rows / max(self.known, 1)
        if self.rows >= FEWEST and SHARES[0] <= share <= SHARES[1]:
            word = f"{self.value:.0f}" if self.value.is_integer() else repr(self.value)
            text = (
                f"numeric column '{self.feature}' of scenario '{scenario}' holds {word} in {percent(share)} of training"
                f" rows, {self.away}; if it stands for no value, set missing: ['{word}'], else scale: quantile"
            )
            yield Finding("sentinel", self.feature, scenario, text, size=share)


def candidates(encoder: Encoder, ends: Mapping[str, Mapping[tuple[str, str], Ends]]) -> list[Sentinel]:
    """Of every numeric column the lowest and the highest training value, if it is far from all others.

    Args:
        ends: feature -> (scenario, split) -> its outermost values.
    """
    found, flag = [], len(encoder.schema.numeric)
    for column, feature in enumerate(encoder.schema.numeric):
        known = ends[feature.name].get((encoder.table, "train"), Ends())
        scaler = encoder.scalers[feature.name]
        for value, away in _far(feature, known, scaler):
            seen = np.float32(scaled(np.array([value]), feature, scaler)[0])
            own = flag if feature.missing else None
            found.append(Sentinel(feature.name, value, column=column, flag=own, seen=seen, away=away))
        flag += feature.missing
    return found


def _far(feature: Feature, ends: Ends, scaler: Scaler) -> Iterator[tuple[float, str]]:
    """Values and what is said of them."""
    values = sorted(ends.rows)
    if len(values) < 4 or not isinstance(scaler, Standard):  # ranks know no distances
        return
    clip = feature.clip or np.inf
    least, low, high, most = values_of(np.array(values), feature).tolist()
    for value, away, apart, end in (
        (values[0], low - least, most - low, values[1]),
        (values[-1], most - high, high - least, values[-2]),
    ):
        if abs(scaler.apply(values_of(np.array([value]), feature))[0]) >= clip:
            continue
        if away > FAR * apart:
            side = "below" if value < end else "above"
            yield value, f"{away / apart:.2g} times as far {side} all others as those are apart (the next is {end:g})"
        elif value == -1 and values[1] >= 0 and (values[-1] >= _COUNTS or not float(values[1]).is_integer()):
            yield value, "and nothing else below 0"
