"""Synthetic logs with a known structure: common and scenario-specific preferences, conflicts, nested CTR and CTCVR."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from msmtrec.data.logs import Logs, in_memory
from msmtrec.data.split import by_fractions
from msmtrec.schema import Feature, IdSpace, Schema, Task
from msmtrec.settings import Settings, count
from msmtrec.streams import numpy_stream

_FACTORS = 4


class Synthetic(Settings):
    """N scenarios whose click and conversion logits mix a common and an own preference.

    logit = sqrt(common)·common part + sqrt(1 - common)·own part; a conflicting scenario has the common part's sign
    turned. A click needs its own logit, a conversion happens only on clicks (CTCVR within CTR).

    Args:
        scenarios: how many.
        rows: rows per scenario: one number, or one per scenario.
        common: share of the preference's variance that scenarios have in common, 0 … 1.
        conflicting: how many of the scenarios (the last ones) turn the common part's sign.
        click_rate, conversion_rate: label rates over impressions; conversion_rate < click_rate.
        users, items: sizes of the common id spaces.
        signal: standard deviation of the logit; 0 is pure noise.
        seed: of the data, not of the training.
    """

    source: Literal["synthetic"] = "synthetic"
    scenarios: int = Field(4, ge=1, le=1000)
    rows: int | tuple[int, ...] = 4000
    common: float = Field(0.7, ge=0, le=1)
    conflicting: int = Field(0, ge=0)
    click_rate: float = Field(0.3, gt=0, lt=1)
    conversion_rate: float = Field(0.1, gt=0, lt=1)
    users: int = Field(500, ge=1)
    items: int = Field(300, ge=1)
    signal: float = Field(2.0, ge=0)
    seed: int = 0
    allow_one_class: bool = False

    @field_validator("rows", mode="before")
    @classmethod
    def _sizes(cls, raw: Any) -> int | tuple[int, ...]:
        if isinstance(raw, list | tuple):
            return tuple(count(size, f" (scenario-{number})") for number, size in enumerate(raw))
        if isinstance(raw, int | float):
            return count(raw)
        raise ValueError(f"must be one number, or a list with one number per scenario, not {raw!r}")

    @model_validator(mode="after")
    def _consistent(self) -> Synthetic:
        if self.conversion_rate >= self.click_rate:
            raise ValueError("conversion_rate must be below click_rate: a conversion needs a click")
        if self.conflicting > self.scenarios:
            raise ValueError(f"conflicting is {self.conflicting} of only {self.scenarios} scenarios")
        if isinstance(self.rows, tuple) and len(self.rows) != self.scenarios:
            raise ValueError(f"rows lists {len(self.rows)} numbers for {self.scenarios} scenarios")
        return self

    def present(self) -> bool:
        """Always: it is made on the spot."""
        return True

    def scenario_names(self) -> tuple[str, ...]:
        """In table order."""
        return tuple(f"scenario-{n}" for n in range(self.scenarios))

    def load(self) -> Logs:
        """Draw the rows; each scenario has its own random stream."""
        names = self.scenario_names()
        sizes = self.rows if isinstance(self.rows, tuple) else (self.rows,) * self.scenarios
        truth = numpy_stream(self.seed, "synthetic", "common")
        common = [_tables(truth, self.users, self.items) for _ in range(2)]
        frames = {}
        for number, (name, rows) in enumerate(zip(names, sizes, strict=True)):
            sign = -1.0 if number >= self.scenarios - self.conflicting else 1.0
            frames[name] = self._draw(name, rows, sign, common)
        schema = Schema(
            name="synthetic",
            features=(
                Feature("user", shared=IdSpace("ids", self.users)),
                Feature("item", shared=IdSpace("ids", self.items)),
                Feature("segment"),
                Feature("price", "numeric"),
            ),
            tasks=(Task("click"), Task("conversion", within="click")),
            scenarios=dict.fromkeys(names, ("click", "conversion")),
            group="user",
        )
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return Logs(
            schema,
            in_memory(frames),
            fingerprint=sha256(text.encode()).hexdigest(),
            origin="synthetic logs",
            notes=(f"{self.conflicting} of {self.scenarios} scenarios turn the common preference round",),
            allow_one_class=self.allow_one_class,
        )

    def _draw(self, name: str, rows: int, sign: float, common: list[_Tables]) -> pl.DataFrame:
        random = numpy_stream(self.seed, "synthetic", name)
        own = [_tables(random, self.users, self.items) for _ in range(2)]
        user, item = random.integers(self.users, size=rows), random.integers(self.items, size=rows)
        price = random.normal(size=rows)
        logits = [
            self.signal
            * (
                sign * np.sqrt(self.common) * _score(common[task], user, item, price)
                + np.sqrt(1 - self.common) * _score(own[task], user, item, price)
            )
            for task in range(2)
        ]
        click = _threshold(logits[0], random, self.click_rate)
        wanted = self.conversion_rate / self.click_rate
        conversion = click & _threshold(logits[1], random, wanted, among=click)
        frame = pl.DataFrame(
            {
                "user": user,
                "item": item,
                "segment": item % 7,
                "price": price,
                "click": click.astype(np.int8),
                "conversion": conversion.astype(np.int8),
            }
        )
        return by_fractions(frame, (0.7, 0.15, 0.15))


_Tables = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _tables(random: np.random.Generator, users: int, items: int) -> _Tables:
    return (
        random.normal(size=(users, _FACTORS)),
        random.normal(size=(items, _FACTORS)),
        random.normal(size=items),
        random.normal(size=1),
    )


def _score(
    tables: _Tables, user: NDArray[np.int64], item: NDArray[np.int64], price: NDArray[np.float64]
) -> NDArray[np.float64]:
    users, items, popularity, slope = tables
    taste = (users[user] * items[item]).sum(1) / np.sqrt(_FACTORS)
    score: NDArray[np.float64] = (0.6 * taste + 1.2 * popularity[item] + slope * price) / 1.8
    return score


def _threshold(
    logit: NDArray[np.float64],
    random: np.random.Generator,
    rate: float,
    among: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """True at about `rate`, logistic in the logit."""
    noisy = logit + random.logistic(size=len(logit))
    bound = np.quantile(noisy if among is None or not among.any() else noisy[among], 1 - rate)
    return np.asarray(noisy > bound)
