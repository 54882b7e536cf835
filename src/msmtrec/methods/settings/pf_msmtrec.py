"""Options of PF-MSMTrec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from msmtrec.methods.settings.base import MethodSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.pf_msmtrec import PFMSMTrec

Personalisation = Literal["hyper", "held-out", "uniform"]


class PFSettings(MethodSettings):
    """Modules of PF-MSMTrec; the defaults are the `recommended` preset.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; the server then sees which ids moved.
            `mixed` mixes a scenario's own and everybody's, id by id, as `item-mix` does with its defaults; the server
            then sees each scenario's own, and a pass over them is part of each step.
        normalization: federated batch normalisation: moments per `tensor` or per output `channel`, `literal`, `off`.
        alignment: match every scenario's experts with the last consensus before they are averaged: by squared
            `distance` or by `cosine` of the scenario factors; `off` takes them as they are numbered.
        coordination: c of the conflict problem; None leaves the plain mean.
        rescale: length of the coordinated update.
        personalization: `hyper` (paper, FedHCA2), `held-out` (second exchange, ours), `uniform` (consensus for all).
        towers: the same choices for the task towers, over plain means; None keeps towers local.
        penalty: lambda of |W_scen - consensus last received|² in the local loss.
        beta_start: held-out: remembered beta before the first round; None takes the first measurement as it is.
        beta_keep: held-out: how much of the remembered beta stays each round.
        tolerance: held-out: 0 takes the mixture of the smallest loss; else the largest beta whose loss is within so
            many standard errors of it.
        alpha: hyper: first alpha of every scenario and expert.
        clip: shorten updates to this multiple of the median norm; None leaves them.
    """

    embeddings: Literal["local", "shared", "mixed"] = "shared"
    normalization: Literal["off", "tensor", "channel", "literal"] = "off"
    alignment: Literal["off", "distance", "cosine"] = "off"
    coordination: float | None = Field(0.4, ge=0)
    rescale: Literal["none", "identity", "fedhca2"] = "identity"
    personalization: Personalisation = "held-out"
    towers: Personalisation | None = "held-out"
    penalty: float = Field(0.0, ge=0)
    beta_start: float | None = Field(1.0, ge=0, le=1)
    beta_keep: float = Field(0.7, ge=0, le=1)
    tolerance: float = Field(0.0, ge=0)
    alpha: float = Field(0.1, ge=0, le=1)
    clip: float | None = Field(None, gt=0)

    @property
    def shares_embeddings(self) -> bool:
        return self.embeddings != "local"

    @model_validator(mode="after")
    def _one_download(self) -> PFSettings:
        if self.embeddings == "mixed" and self.personalization == "held-out" and self.towers in ("hyper", "uniform"):
            raise ValueError(
                "with personalization held-out and embeddings mixed, towers must be held-out or null, not"
                f" {self.towers}: these come later, and embeddings would be mixed at both downloads"
            )
        return self

    def cautions(self) -> Iterator[str]:
        if self.coordination == 0:
            yield "coordination 0 is plain averaging; null says so"
        yield from self._unused()
        alone = self.personalization == "hyper" and not self.penalty and self.alignment == "off"
        if self.normalization != "off" and alone:
            yield "normalization has no effect: in hyper only the penalty refers to the consensus; set penalty above 0"
        elif self.normalization == "literal":
            yield "normalization literal averages to zero and wipes the experts; it is for ablations"
        if "held-out" in (self.personalization, self.towers) and self.beta_keep == 1 and self.beta_start is not None:
            yield f"beta_keep 1 keeps the mixture at beta_start {self.beta_start:g} or at 0, whatever is measured"

    def _unused(self) -> Iterator[str]:
        """Options that were set and that nothing reads."""
        families = (self.personalization, self.towers)
        readers = {
            "alpha": ("hyper" in families, "personalization or towers: hyper"),
            "beta_start": ("held-out" in families, "personalization or towers: held-out"),
            "beta_keep": ("held-out" in families, "personalization or towers: held-out"),
            "tolerance": ("held-out" in families, "personalization or towers: held-out"),
            "rescale": (bool(self.coordination), "coordination above 0"),
        }
        for option, (read, need) in readers.items():
            if not read and getattr(self, option) != type(self).model_fields[option].default:
                yield f"{option} has no effect: it needs {need}"

    def build(self, declarations: tuple[Declaration, ...]) -> PFMSMTrec:
        from msmtrec.methods.pf_msmtrec import PFMSMTrec

        return PFMSMTrec(declarations, self)


PAPER = {
    "embeddings": "local",
    "normalization": "tensor",
    "coordination": 0.4,
    "personalization": "hyper",
    "towers": "hyper",
    "penalty": 1e-3,
}
