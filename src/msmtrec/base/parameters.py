"""A parameter or buffer: its tensor, and what a model declares of it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from torch import Tensor

from msmtrec.base.roles import BUFFERS, Role

Parameters = dict[str, Tensor]
"""name -> tensor, without the member axis in a scenario's own state, with it in a stack."""
Init = Literal["embedding", "kaiming", "uniform", "ones", "zeros", "identity"]


@dataclass(frozen=True)
class Declaration:
    """One parameter or buffer of one member.

    Args:
        name, role: as everywhere.
        shape: without the member axis; a first size of None means "rows of the scenario's private table".
        init: `embedding` N(0, .02); `kaiming` normal, fan-in = the last axis but one; `uniform` ±1/sqrt(fan-in);
            `ones`; `zeros`; `identity` in the last two axes.
        unit_axis: the axis that counts experts (W_scen) or tasks (towers, W_task), where a method may treat each
            unit by itself.
        level: units of one number belong together within a level only (expert 0 of level 0 is another one than
            expert 0 of level 1).
        output: whether a logit is the product with it and a bias of 0 at first, or a sum of such: zeros in place of all
            outputs make all logits 0 (of ESMM's products, constant).
        owners: the scenario that each slice of the first axis belongs to; in a mean over scenarios only its owner's
            upload counts. Empty where no slice belongs to anybody.
    """

    name: str
    role: Role
    shape: tuple[int | None, ...]
    init: Init
    _: KW_ONLY
    unit_axis: Literal["expert", "task"] | None = None
    level: int = 0
    output: bool = False
    owners: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether it gets gradients and optimiser steps; a buffer is set by the network's forward pass instead."""
        return self.role not in BUFFERS
