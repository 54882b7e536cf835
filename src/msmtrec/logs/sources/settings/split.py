"""What the YAML of own logs says of the split into training, validation and test rows."""

from __future__ import annotations

from datetime import date
from math import isfinite
from typing import Any

from pydantic import Field, field_validator, model_validator

from msmtrec.base.settings import Settings, count
from msmtrec.data.asked import Asked
from msmtrec.logs.reading.rule import Rule

Fractions = tuple[float, float, float]


class Split(Settings):
    """How rows become training, validation and test rows: exactly one of five ways.

    Args:
        column: a column that says train, validation or test; or
        time: a column to order by (numbers, date-times or ISO 8601 text), with `train_until` and `validation_until`,
            `fractions` or `last`; or
        train_until, validation_until: the last moment of the split; of a date alone, that whole day.
        fractions: alone: consecutive shares in file order.
        last: with within: of each value's rows the last so many are for testing, as many before them for validation.
        random: three shares; each row is drawn by itself. Test rows are then as old as training rows.
        seed: of random, from 0.
        within: with fractions or last: divide each value of this column by itself (each user's first rows train). With
            random: draw its values; all rows of one are in the same split.
        time_format: how times are written that are no ISO 8601 text, such as "%Y/%m/%d" or "%Y%m%dT%H%M%S".
        min_rows: with within: values with fewer rows are not divided, all their rows train. Default: none; with
            last, as many as leave a training row.
    """

    column: str | None = None
    time: str | None = None
    time_format: str | None = None
    train_until: str | int | float | None = None
    validation_until: str | int | float | None = None
    fractions: Fractions | None = None
    last: int | None = None
    random: Fractions | None = None
    seed: int | None = Field(default=None, ge=0, strict=True)
    within: str | None = None
    min_rows: int | None = None

    @field_validator("train_until", "validation_until", mode="before")
    @classmethod
    def _moment(cls, raw: Any) -> str | int | float | None:
        """YAML reads an unquoted date as a date."""
        if isinstance(raw, date):
            return raw.isoformat()
        odd = isinstance(raw, bool) or (isinstance(raw, float) and not isfinite(raw))
        if odd or not isinstance(raw, str | int | float | None):
            raise ValueError(f"must be a date such as 2026-03-01 or a number, not {raw!r}")
        return raw

    @field_validator("last", "min_rows", mode="before")
    @classmethod
    def _rows(cls, raw: Any) -> int | None:
        return None if raw is None else count(raw)

    @field_validator("fractions", "random")
    @classmethod
    def _whole(cls, shares: Fractions | None) -> Fractions | None:
        if shares and (abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0):
            raise ValueError("must be positive and sum to 1")
        return shares

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        bounds = [bound is not None for bound in (self.train_until, self.validation_until)]
        ways = [way for way in ("column", "fractions", "last", "random") if getattr(self, way) is not None]
        ways += ["train_until and validation_until"] if any(bounds) else []
        if not ways:
            raise ValueError(
                "give column, or time with train_until and validation_until, or fractions, or last with within, or"
                " random"
            )
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} are different ways to divide rows; keep one")
        if any(bounds) and not (all(bounds) and self.time):
            raise ValueError("train_until, validation_until and time go together; give all three")
        if self.time and (self.column is not None or self.random):
            raise ValueError(f"time has no effect with {ways[0]}; remove it, or {ways[0]}")
        if self.time_format is not None and (self.time is None or "%" not in self.time_format):
            raise ValueError("time_format says how the column 'time' is written, such as %Y/%m/%d")
        if self.within is not None and not (self.fractions or self.last or self.random):
            raise ValueError(f"within has no effect with {ways[0]}; use fractions, last or random, or remove it")
        if self.last is not None and self.within is None:
            raise ValueError("last counts rows of each value of a column; add within, such as the user's column")
        if self.seed is not None and not self.random:
            raise ValueError("seed is of random; remove it, or divide by random")
        if self.min_rows is not None:
            if self.within is None or self.random:
                raise ValueError("min_rows is of the values of within, with fractions or last; add those, or remove it")
            if self.last is not None and self.min_rows < 2 * self.last + 1:
                raise ValueError(
                    f"min_rows must be at least {2 * self.last + 1}: last {self.last} takes {2 * self.last} rows for"
                    " testing and validation, and one has to train"
                )
        return self

    @property
    def divides(self) -> bool:
        """Whether rows are counted or drawn; else every row says itself where it belongs."""
        return self.column is None and self.train_until is None

    def rule(self) -> Rule:
        """Of fractions or last."""
        return Rule(self.fractions, self.last or 0, within=self.within, min_rows=self.min_rows or 0)

    def asked(self) -> Asked:
        """For sentences on what came of it."""
        few = f"values of '{self.within}' with fewer than {self.rule().least} rows" if self.within else ""
        if self.random:
            return Asked(self.random, "", "ask for other shares or another split.seed", random=True, within=self.within)
        if self.last:
            return Asked(None, few, "lower split.last and split.min_rows, or divide by fractions")
        if self.fractions and self.within:
            fits = "lower split.min_rows" if self.min_rows else "set split.min_rows so that rarer ones train only"
            remedy = (
                f"ask for other fractions, {fits}, or use split.last, which tests the last rows of each '{self.within}'"
            )
            return Asked(self.fractions, few, remedy)
        return Asked(self.fractions, "", "ask for other fractions") if self.fractions else Asked()
