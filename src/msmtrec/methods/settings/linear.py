"""Options of the contenders without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from msmtrec.methods.settings.base import MethodSettings
from msmtrec.statistics.settings import SHRINKAGE, StatisticsSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedavg import FedAvg


class AloneSettings(MethodSettings):
    """There are no rounds in which anything could travel."""

    def build(self, declarations: tuple[Declaration, ...]) -> FedAvg:
        from msmtrec.methods.fedavg import FedAvg
        from msmtrec.methods.settings.fedavg import FedAvgSettings

        return FedAvg(declarations, FedAvgSettings.model_validate({"average": "nothing"}))


class LinearSettings(AloneSettings):
    """The linear head of `statistics`, alone; it has no options of its own."""


class BiasSettings(AloneSettings):
    """A scenario's rate, and shrunk means of what each field's values leave over, one field after the other.

    Args:
        fields: in order; null takes every field with `least` values or more among a scenario's training rows, those in
            id spaces that scenarios agreed on first, and that of the users last.
        least: values from which a field is taken for an id.
        summed: fields whose means are over all scenarios' rows: a list, true (all that scenarios agreed on) or false;
            null is true where they agreed on any.
        shrinkage: k, rows of nothing in particular that every value begins with.
    """

    fields: tuple[str, ...] | None = None
    least: int = Field(100, ge=2)
    summed: bool | tuple[str, ...] | None = None
    shrinkage: float = Field(SHRINKAGE, gt=0)

    @model_validator(mode="after")
    def _as_counting(self) -> BiasSettings:
        _ = self.counting
        return self

    @property
    def shares_embeddings(self) -> bool:
        return self.summed is not False

    @property
    def counting(self) -> StatisticsSettings:
        """Which fields are counted, and which of them are summed."""
        return StatisticsSettings.model_validate(self.model_dump())
