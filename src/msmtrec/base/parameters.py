"""A parameter: its tensor, and what a model declares of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from msmtrec.base.roles import Role

Parameters = dict[str, Tensor]
"""name -> tensor, without the member axis in a scenario's own state, with it in a stack."""


@dataclass(frozen=True)
class Declaration:
    """One parameter of one member.

    Args:
        name, role: as everywhere.
        shape: without the member axis; a first size of None means "rows of the scenario's private table".
        init: `embedding` N(0, .02); `kaiming` normal, fan-in = the last axis but one; `uniform` ±1/sqrt(fan-in);
            `ones`; `zeros`; `identity` in the last two axes.
        unit_axis: the axis that counts experts (W_scen) or tasks (towers, W_task), where a method may treat each
            unit by itself.
    """

    name: str
    role: Role
    shape: tuple[int | None, ...]
    init: Literal["embedding", "kaiming", "uniform", "ones", "zeros", "identity"]
    unit_axis: Literal["expert", "task"] | None = None
