"""Which statistics of ids a contender has, and what becomes of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from msmtrec.base.settings import Settings

SHRINKAGE, RIDGE = 20.0, 10.0


class StatisticsSettings(Settings):
    """Counts and label sums of ids in earlier training rows.

    Args:
        fields: whose values are counted; null takes every field with `least` values or more among a scenario's training
            rows.
        least: values from which a field is taken for an id.
        summed: fields whose sums over all scenarios are read beside the scenario's own: a list, true (all that
            scenarios agreed on) or false; null is true where the contender shares embeddings or pools rows, else false.
        shrinkage: k, rows of nothing in particular that every value begins with.
        threshold: rows below which a value counts as one without history.
        history: what a training row reads: `days`, rows of earlier days; `blocks`, all but those of its own block, one
            of 20 by what rows hold; `auto` takes days where the log has times, later rows are of later days, and most
            training rows have days before them.
        delay: days after which a row's label is known, where history is of days.
        decay: how much a day counts against the day after it; 1: all count alike. Refused where history is of blocks.
        wide: `offset` fits a linear head on statistics and numeric features first, and the network learns what it
            leaves over; `none` has none.
        ridge: what the head's squared weights cost, against the sum of the rows' losses.
        inputs: whether the network reads the statistics too.
    """

    fields: tuple[str, ...] | None = None
    least: int = Field(100, ge=2)
    summed: bool | tuple[str, ...] | None = None
    shrinkage: float = Field(SHRINKAGE, gt=0)
    threshold: int = Field(0, ge=0)
    history: Literal["auto", "days", "blocks"] = "auto"
    delay: int = Field(0, ge=0)
    decay: float = Field(1.0, gt=0, le=1)
    wide: Literal["offset", "none"] = "offset"
    ridge: float = Field(RIDGE, gt=0)
    inputs: bool = False

    @model_validator(mode="after")
    def _for_something(self) -> StatisticsSettings:
        if self.wide == "none" and not self.inputs:
            raise ValueError("wide: none and inputs: false leave nothing that would read statistics; set one of them")
        return self

    @model_validator(mode="after")
    def _with_an_order(self) -> StatisticsSettings:
        if self.decay < 1 and self.history == "blocks":
            raise ValueError(
                f"decay: {self.decay} is by days, and blocks have no order; set history: days, or decay: 1"
            )
        return self

    @model_validator(mode="after")
    def _none_twice(self) -> StatisticsSettings:
        if self.fields == ():
            raise ValueError("fields lists none; name some, or take null for all of `least` values or more")
        for key, names in (("fields", self.fields), ("summed", self.summed)):
            listed = names if isinstance(names, tuple) else ()
            for name in listed:
                if listed.count(name) > 1:
                    raise ValueError(f"{key} lists '{name}' twice; remove one")
        return self
