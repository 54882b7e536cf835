"""The server's side of a round: accept uploads, aggregate, keep track of who holds what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from msmtrec.base.errors import Diverged
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Policy
from msmtrec.methods.base import Answer, Method, Offer, Reply, State, Upload


@dataclass(frozen=True)
class ServerState:
    """One federation's server: plain data.

    Args:
        method: the method's own memory.
        held: scenario -> round of its last download.
    """

    method: State
    held: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What an aggregation step gives back to the loop."""

    state: ServerState
    replies: Mapping[str, Reply]
    diagnostics: Mapping[str, Any]
    offers: Mapping[str, Offer] = field(default_factory=dict)


def check_upload(upload: Upload, expected: Parameters) -> str | None:
    """Why an upload cannot be used, or None."""
    for name, value in expected.items():
        tensor = upload.parameters.get(name)
        if tensor is None:
            return f"scenario '{upload.scenario}' sent no '{name}'"
        if tensor.shape != value.shape:
            return (
                f"scenario '{upload.scenario}' sent '{name}' of shape {tuple(tensor.shape)}, not {tuple(value.shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            return f"scenario '{upload.scenario}' sent '{name}' with NaN or infinite values"
    return None


def accept(
    uploads: Mapping[str, Upload], expected: Parameters, round_number: int
) -> tuple[dict[str, Upload], list[str]]:
    """Usable uploads and the reasons for the others.

    Raises:
        Diverged: none is usable.
    """
    good, reasons = {}, []
    for name, upload in uploads.items():
        reason = check_upload(upload, expected)
        if reason is None:
            good[name] = upload
        else:
            reasons.append(reason)
    if uploads and not good:
        raise Diverged(
            f"round {round_number}: no scenario sent a usable update ({reasons[0]}); lower the learning rate"
            " or check that scenario's rows"
        )
    return good, reasons


def aggregate(
    method: Method,
    state: ServerState,
    uploads: Mapping[str, Upload],
    expected: Parameters,
    round_number: int,
    max_staleness: int,
) -> tuple[Step, dict[str, Upload]]:
    """One round's aggregation; also returns the uploads that took part, for `settle`.

    A scenario whose last download is more than `max_staleness` rounds old is left out of the means and welcomed anew.
    """
    if not method.leaving():
        return Step(state, {}, {}), {}
    good, rejected = accept(uploads, expected, round_number)
    age = {name: round_number - 1 - state.held.get(name, 0) for name in good}
    stale = [name for name in good if age[name] > max_staleness]
    fresh = {name: upload for name, upload in good.items() if name not in stale}
    memory, replies = state.method, dict[str, Reply]()
    diagnostics, offers = dict[str, Any](), dict[str, Offer]()
    if fresh:
        outcome = method.aggregate(memory, fresh)
        memory, replies, offers = outcome.state, dict(outcome.replies), dict(outcome.offers)
        diagnostics = dict(outcome.diagnostics)
    for name in stale:
        memory, replies[name] = method.welcome(memory, name)
    diagnostics |= {
        "rejected": rejected,
        "restored": [name for name in uploads if name not in good],
        "stale": stale,
        "staleness": age,
    }
    held = {**state.held, **dict.fromkeys((*replies, *offers), round_number)}
    return Step(ServerState(memory, held), replies, diagnostics, offers), fresh


def catch_up(method: Method, state: ServerState, scenario: str, round_number: int) -> tuple[ServerState, Reply | None]:
    """What a scenario that is new or missed the last round downloads before it trains; None where it missed nothing.

    A new one is welcomed: consensus and means. Else averages are fetched anew, so that no old weights enter a mean;
    personal parameters stay: their updates are relative to what the scenario last received, and they age.
    """
    if round_number == 1 or state.held.get(scenario) == round_number - 1 or not method.leaving():
        return state, None
    if scenario not in state.held:
        memory, reply = method.welcome(state.method, scenario)
        return ServerState(memory, {**state.held, scenario: round_number - 1}), reply
    personal = {Policy.COORDINATE, Policy.PERSONALISE} & set(method.policies().values())
    if not personal:
        state = replace(state, held={**state.held, scenario: round_number - 1})
    return state, method.refresh(state.method)


def settle(method: Method, state: ServerState, uploads: Mapping[str, Upload], answers: Mapping[str, Answer]) -> Step:
    """Close the second exchange."""
    outcome = method.settle(state.method, uploads, answers)
    return Step(replace(state, method=outcome.state), outcome.replies, outcome.diagnostics)
