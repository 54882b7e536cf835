"""What networks that read each row's scenario have in common."""

from __future__ import annotations

from copy import copy
from typing import Self

import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.models.base import Batch, Model
from msmtrec.models.by_scenario import ByScenario


class OfScenarios(Model):
    """Made for pooled rows, where one member has all scenarios. In a federation a scenario sees its own number only,
    and a mean takes what belongs to a scenario from its owner.

    Attributes:
        only: the scenario of all rows, where it is known beforehand.
    """

    reads_scenario = True
    only: int | None = None

    @property
    def scenarios(self) -> int:
        """How many; one where rows have none."""
        return max(1, len(self.layout.scenarios))

    def folded(self, parameters: Parameters, scenario: int = 0) -> tuple[Self, Parameters]:
        """For rows of one scenario, whatever number they bear."""
        alone = copy(self)
        alone.only, alone.reads_scenario = scenario, False
        return alone, parameters

    def numbers(self, batch: Batch) -> Tensor:
        """[K, B] of each row's scenario."""
        return batch.scenario if self.only is None else torch.full_like(batch.scenario, self.only)

    def groups(self, batch: Batch) -> ByScenario:
        """The rows, each scenario's side by side."""
        if self.only is not None:
            return ByScenario.alone(self.only, batch.valid)
        return ByScenario.of(batch.scenario, batch.valid)

    def own(self, table: Tensor, batch: Batch) -> Tensor:
        """What each row's scenario has of a table [K, S, d]: [K, B, d]"""
        return table.gather(1, self.numbers(batch).unsqueeze(2).expand(-1, -1, table.shape[2]))
