"""What PF-MSMTrec's server knows between two rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msmtrec.aggregation.matching import Order
from msmtrec.base.parameters import Parameters
from msmtrec.methods.hyper import Alphas


@dataclass(frozen=True)
class Held:
    """What the server knows of one scenario.

    Args:
        parameters: last_n, what its experts and towers held after its last download.
        alphas: hyper: experts or towers -> its mixing weights.
    """

    parameters: Parameters
    alphas: Mapping[str, Alphas] = field(default_factory=dict)


@dataclass(frozen=True)
class PFState:
    """Args:
    consensus: C of the experts, means of the towers, and the shared tables.
    first: the common first parameters of experts and towers.
    held: scenario -> what it holds; absent before its first round.
    dual: scenario -> its weight in the last conflict problem of each expert.
    """

    consensus: Parameters
    first: Parameters
    held: Mapping[str, Held] = field(default_factory=dict)
    dual: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class MatchedState(PFState):
    """With `alignment`. The consensus and the dual weights are in an order of experts of their own.

    Args:
        orders: scenario -> which of its experts stand for those of the consensus, as last matched.
    """

    orders: Mapping[str, Order] = field(default_factory=dict)


def order_of(state: PFState, scenario: str) -> Order:
    """Of its experts, as last matched; empty where that never was."""
    return state.orders.get(scenario, ()) if isinstance(state, MatchedState) else ()
