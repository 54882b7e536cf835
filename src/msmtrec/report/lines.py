"""Lines over rounds: every round is there, whatever the first ones do to the scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.report.figure import Figure
from msmtrec.report.svg import WIDTH, document, number, polyline, rect, rule, text, ticks

Array = NDArray[np.float64]
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 214.0, 40.0, 10.0, 16.0, 34.0
STRIP = 26.0
"""Units of the band below, into which the low first rounds are pressed."""
STEEP = 3.0
"""First rounds go into the band where they would make a panel so many times as high as what comes later."""
FIRST = 2
"""So many rounds may go there."""


@dataclass(frozen=True)
class Line:
    """One line.

    Args:
        kind: its classes.
        values: [R], NaN where there is none.
        dot: (round, value) of what was chosen.
    """

    name: str
    kind: str
    values: Array
    dot: tuple[float, float] | None = None


@dataclass(frozen=True)
class Axis:
    """From values to units: linear above `low`, and everything from `floor` to `low` pressed into a band below."""

    low: float
    high: float
    floor: float | None = None

    def __call__(self, value: float) -> float:
        base = HEIGHT - BOTTOM - (STRIP if self.floor is not None else 0)
        if self.floor is not None and value < self.low:
            return base + STRIP * (self.low - value) / (self.low - self.floor)
        return base - (base - TOP) * (value - self.low) / (self.high - self.low)


def limits(curves: list[Array], chosen: list[float]) -> tuple[float, float, bool]:
    """(low, high, whether something lies below) of a panel's even scale.

    It has everything, unless the first two rounds would flatten what comes later. Then they are below it, in the band;
    the best values and those at the chosen rounds are always inside.
    """
    everything = np.concatenate([*curves, chosen])
    kept = np.concatenate([*(curve[FIRST:] for curve in curves), chosen])
    low, high = float(everything.min()), float(everything.max())
    later = float(kept.min()) if len(kept) else low
    span = float(np.ptp(kept)) if len(kept) else 0.0
    cut = span > 0 and high - low > STEEP * span and later > low
    low = later if cut else low
    margin = 0.08 * (high - low) or 0.01
    return low - margin, high + margin, cut


@dataclass(frozen=True)
class Chart:
    """Lines over rounds.

    Args:
        key, title: as in `Figure`.
        rounds: [R].
        unit: what the values are, above their axis.
        span: (low, high) of the values' axis; None for what the lines need.
        reach: first and last round of the axis, where several panels share it; None for the lines' own.
        band: (name, [R] low, [R] high): the spread of all, behind the lines.
        keyed: as in `Figure`.
    """

    key: str
    title: str
    rounds: Array
    lines: Sequence[Line]
    _: KW_ONLY
    unit: str
    caption: str = ""
    span: tuple[float, float] | None = None
    reach: tuple[float, float] | None = None
    band: tuple[str, Array, Array] | None = None
    keyed: bool = False

    def figure(self) -> Figure:
        axis, floor = self._axis()
        first, last = self.reach or (float(self.rounds.min()), float(self.rounds.max()))
        width = WIDTH - LEFT - RIGHT

        def x(value: float) -> float:
            return LEFT + (width * (value - first) / (last - first) if last > first else width / 2)

        body = self._frame(axis, floor, first, last)
        if self.band:
            _, low, high = self.band
            known = [n for n in range(len(self.rounds)) if np.isfinite(low[n]) and np.isfinite(high[n])]
            edge = [(x(self.rounds[n]), axis(high[n])) for n in known]
            edge += [(x(self.rounds[n]), axis(low[n])) for n in reversed(known)]
            body.append(f'<path d="M{"L".join(f"{number(a)} {number(b)}" for a, b in edge)}Z" class="band"/>')
        for line in self.lines:
            points = [
                (x(r), axis(v)) if np.isfinite(v) else None for r, v in zip(self.rounds, line.values, strict=True)
            ]
            body.append(polyline(points, f"line {line.kind}"))
        for line in self.lines:
            if line.dot:
                cx, cy = number(x(line.dot[0])), number(axis(line.dot[1]))
                body.append(f'<circle cx="{cx}" cy="{cy}" r="3.6" class="dot {line.kind}"/>')
        bands = [self.band] if self.band else []
        return Figure(
            self.key,
            self.title,
            document(HEIGHT, body, f"{self.title}: {self.unit} by round"),
            [
                "round",
                *(line.name for line in self.lines),
                *(f"{b[0]}, {end}" for b in bands for end in ("5 %", "95 %")),
            ],
            rows=[
                [int(r), *(line.values[n] for line in self.lines), *(v[n] for b in bands for v in b[1:])]
                for n, r in enumerate(self.rounds)
            ],
            at=[x(r) for r in self.rounds],
            caption=self.caption,
            kinds={line.name: line.kind for line in self.lines},
            keyed=self.keyed,
        )

    def _axis(self) -> tuple[Axis, float | None]:
        """The axis, and the lowest value where it lies in the band."""
        if self.span:
            return Axis(*self.span), None
        curves = [line.values[np.isfinite(line.values)] for line in self.lines]
        low, high, cut = limits([c for c in curves if len(c)], [line.dot[1] for line in self.lines if line.dot])
        floor = min(float(c.min()) for c in curves if len(c)) if cut else None
        return Axis(low, high, floor), floor

    def _frame(self, axis: Axis, floor: float | None, first: float, last: float) -> list[str]:
        base, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        body = [text(4, 10, self.unit, kind="unit")]
        if floor is not None:
            body.append(rect(LEFT, base - STRIP, right - LEFT, STRIP, "strip"))
            body.append(text(LEFT - 5, base, short(floor), "end"))
        marks = ticks(axis.low, axis.high, 5)
        for value in marks:
            if floor is None or axis(value) < base - STRIP - 8:
                body += [
                    rule(LEFT, axis(value), right, axis(value)),
                    text(LEFT - 5, axis(value) + 4, short(value), "end"),
                ]
        body.append(rule(LEFT, base, right, base, "edge"))
        for value in dict.fromkeys(round(v) for v in ticks(first, last, 6)):
            at = LEFT + ((right - LEFT) * (value - first) / (last - first) if last > first else (right - LEFT) / 2)
            body += [rule(at, base, at, base + 4, "edge"), text(at, base + 16, str(value), "middle")]
        body.append(text(right, HEIGHT - 4, "round", "end", "unit"))
        return body


def short(value: float) -> str:
    """A number of an axis, without the zero before the point."""
    found = f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"
    return found.replace("0.", ".", 1) if found.startswith(("0.", "-0.")) else found
