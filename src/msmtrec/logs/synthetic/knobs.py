"""What can be turned in made-up logs; `truth` has the formulas."""

from __future__ import annotations

from math import floor
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from msmtrec.base.settings import Settings


class Knobs(Settings):
    """What can be turned, each by itself; at its neutral value a knob does nothing.

    Args:
        click_rate, conversion_rate: label rates over impressions; conversion_rate < click_rate.
        signal: standard deviation of the logit that features explain; 0 is pure chance.
        noise: share of the labels that are drawn with the base rate instead; neutral 0.
        covariate_shift: standard deviation, between scenarios, of the values' log-odds and of the numerics' place (in
            deviations of the normal they are made from); the same row has the same probabilities. Neutral 0.
        label_shift: standard deviation, between scenarios, of the logits of the click rate and of the conversion rate
            among clicks; or the offsets themselves, one a scenario. Neutral 0.
        concept_shift: share of the preference's variance that is the scenario's own. Neutral 0.
        conflict: share of the scenarios that want the opposite of the common part (every fourth for 0.25); or one
            share for click and one for conversion. Neutral 0.
        seed: of the data, not of the training.
    """

    click_rate: float = Field(0.3, gt=0, lt=1)
    conversion_rate: float = Field(0.1, gt=0, lt=1)
    signal: float = Field(2.0, ge=0, le=100)
    noise: float = Field(0.0, ge=0, le=1)
    covariate_shift: float = Field(0.0, ge=0, le=10)
    label_shift: float | tuple[float, ...] = 0.0
    concept_shift: float = Field(0.3, ge=0, le=1)
    conflict: float | tuple[float, float] = 0.0
    seed: int = 0

    @field_validator("label_shift", "conflict", mode="before")
    @classmethod
    def _number_or_list(cls, raw: Any, info: ValidationInfo) -> float | tuple[float, ...]:
        """Of one sentence where pydantic has one for each member of the union."""
        values = raw if isinstance(raw, list | tuple) else [raw]
        pair = info.field_name == "conflict"
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values) or (
            pair and values is raw and len(values) != 2
        ):
            form = "a pair, for click and conversion" if pair else "a list with one number per scenario"
            raise ValueError(f"must be one number, or {form}, not {raw!r}")
        low, high = (0, 1) if pair else (-10 if values is raw else 0, 10)
        for value in values:
            if not low <= value <= high:
                raise ValueError(f"must be from {low} to {high}, not {value!r}")
        return tuple(map(float, values)) if values is raw else float(raw)

    def turned(self, scenario: int) -> tuple[bool, bool]:
        """Whether the scenario of that number wants the opposite, for click and for conversion.

        Spread evenly, so that more scenarios change nothing for those there are.
        """
        shares = self.conflict if isinstance(self.conflict, tuple) else (self.conflict, self.conflict)
        click, conversion = (floor((scenario + 1) * s + 1e-9) > floor(scenario * s + 1e-9) for s in shares)
        return click, conversion
