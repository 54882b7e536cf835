"""Multi-gate Mixture-of-Experts (Ma et al., KDD 2018), with PF-MSMTrec's parameter template on the experts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.mmoe import MMoE


class MMoESettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        experts: J, per task gate.
        private_experts: how many of these never leave a scenario, whatever the method; all others are as with 0.
        expert_layers: hidden widths of an expert, ReLU after each.
        tower_layers: hidden widths of a task tower; one logit follows.
        norm: batch normalisation before each ReLU, in experts and towers, with running moments for predictions; null
            leaves it out.
        dropout: after each expert layer, while training.
        tower_dropout: after each hidden layer of a tower, while training.
        template: compose every expert weight and bias as local ⊙ task ⊙ scenario factors (paper section 3.2);
            unless set, only pf-msmtrec has it.
    """

    name: Literal["mmoe"] = "mmoe"
    experts: int = Constrained(4, ge=1)
    private_experts: int = Constrained(0, ge=0)
    expert_layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    norm: Literal["batch"] | None = None
    dropout: float = Constrained(0.0, ge=0, lt=1)
    tower_dropout: float = Constrained(0.0, ge=0, lt=1)
    template: bool | None = None

    @model_validator(mode="after")
    def _some_travel(self) -> MMoESettings:
        if self.private_experts >= self.experts:
            raise ValueError(
                f"private_experts must be less than experts, {self.experts}, not {self.private_experts}: the others are"
                " what scenarios learn together"
            )
        return self

    def cautions(self) -> Iterator[str]:
        if self.experts == 1:
            yield "with one expert the gates do nothing"
        if self.norm and self.private_experts:
            yield (
                "norm batch with private_experts: a method that lets scales, shifts and running moments travel sends"
                " those of private experts' outputs too; pf-msmtrec and fedbn do not"
            )

    def for_method(self, *, template: bool) -> MMoESettings:
        return self if self.template is not None else self.model_copy(update={"template": template})

    def build(self, layout: Layout) -> MMoE:
        from msmtrec.models.mmoe import MMoE

        return MMoE(layout, self)
