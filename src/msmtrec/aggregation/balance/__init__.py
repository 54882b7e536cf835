"""Task balancing: one file per rule, on the losses of K members' tasks and the Gram matrices of their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msmtrec.aggregation.balance.base import Rule
from msmtrec.aggregation.balance.cagrad import CAGrad
from msmtrec.aggregation.balance.gradnorm import GradNorm
from msmtrec.aggregation.balance.mgda import MGDA
from msmtrec.aggregation.balance.nash import NashMTL
from msmtrec.aggregation.balance.pcgrad import PCGrad
from msmtrec.aggregation.balance.uncertainty import Uncertainty

RULES: Mapping[str, Callable[..., Rule]] = {
    "uncertainty": Uncertainty,
    "gradnorm": GradNorm,
    "pcgrad": PCGrad,
    "cagrad": CAGrad,
    "mgda": MGDA,
    "nash-mtl": NashMTL,
}


def build(name: str, **options: float) -> Rule:
    """A rule by its name in a config, with the options that it has."""
    return RULES[name](**options)
