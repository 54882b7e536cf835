"""Everything a scenario keeps between rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from msmtrec.base.parameters import Parameters


@dataclass(frozen=True)
class ClientState:
    """Everything a scenario keeps between rounds; plain data.

    Args:
        parameters, first, second: weights and Adam's moments, by name.
        step: optimiser steps taken; the row order and dropout streams follow from it.
        anchors: what the local penalty refers to.
        betas: remembered mixtures of the second exchange.
    """

    parameters: Parameters
    first: Parameters
    second: Parameters
    step: int = 0
    anchors: Parameters = field(default_factory=dict)
    betas: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def fresh(cls, parameters: Parameters) -> ClientState:
        """Zero moments, step 0."""
        zeros = {name: torch.zeros_like(value) for name, value in parameters.items()}
        return cls(parameters, zeros, {name: value.clone() for name, value in zeros.items()})
