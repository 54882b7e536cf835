"""How tensors of a `state_dict` lie in the parameters that a method reads, where the first axis counts units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters

Form = Literal["stack", "layers", "whole", "table"]
"""`stack`: a new first axis. `layers`: the same, and outputs, which are first in torch's layers, last, as our networks
have them. `whole`: as it is. `table`: two axes, rows first."""


@dataclass(frozen=True)
class Stacked:
    """One parameter of a method.

    Args:
        name: as the method knows it.
        names: the state_dict's, unit by unit; one where nothing is put together.
        shape: of each of these.
    """

    name: str
    names: tuple[str, ...]
    form: Form
    _: KW_ONLY
    shape: tuple[int, ...]

    def join(self, state: Mapping[str, Tensor]) -> Tensor:
        """From the state_dict's tensors."""
        if self.form == "whole":
            return state[self.names[0]]
        if self.form == "table":
            return state[self.names[0]].reshape(self.shape[0] if self.shape else 1, -1)
        found = torch.stack([state[name] for name in self.names])
        return found.movedim(1, -1).contiguous() if self.form == "layers" else found

    def split(self, value: Tensor) -> Parameters:
        """Back to them."""
        if self.form in ("whole", "table"):
            return {self.names[0]: value.reshape(self.shape)}
        value = value.movedim(-1, 1) if self.form == "layers" else value
        return {name: one.contiguous() for name, one in zip(self.names, value, strict=True)}


def join(found: Iterable[Stacked], state: Mapping[str, Tensor]) -> Parameters:
    """A method's parameters of a state_dict that has all of them."""
    return {one.name: one.join(state) for one in found}


def split(found: Iterable[Stacked], parameters: Mapping[str, Tensor]) -> Parameters:
    """The state_dict's of those that are there."""
    parts = [one.split(parameters[one.name]) for one in found if one.name in parameters]
    return {name: value for part in parts for name, value in part.items()}
