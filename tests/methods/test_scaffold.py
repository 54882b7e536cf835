"""SCAFFOLD: all properties, and one round of two scenarios by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.base.roles import Role
from msmtrec.methods.scaffold import CHANGE, CONTROL, SERVER

CASE = Case("scaffold", {"embeddings": "shared"}, {"global_rate": 0.5, "embeddings": "local"}, rate=0.1)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_the_server_by_hand() -> None:
    # w = 0; towers 1 and 3, each counting once: mean 2, eta_g .5 -> 1. c = 0 + (4 + 8) / K with K = 3, one absent
    m = method("scaffold", global_rate=0.5)
    one, two = (torch.full((2, 2), value) for value in (1.0, 3.0))
    sent = {
        "a": upload(m, "a", rows=100, tower=one, slots={CHANGE: {"tower": torch.full((2, 2), 4.0)}}),
        "b": upload(m, "b", rows=1, tower=two, slots={CHANGE: {"tower": torch.full((2, 2), 8.0)}}),
    }
    found = aggregate(m, start(m, {"a": 100, "b": 1, "c": 5}), sent)
    assert found.replies["a"].model["tower"].unique().tolist() == [1.0]
    assert found.replies["b"].slots[SERVER]["tower"].unique().tolist() == [4.0]
    again = aggregate(m, found.state, sent).replies["a"].slots[SERVER]["tower"]
    assert again.unique().tolist() == [8.0]  # it is added up


def test_a_scenarios_steps_by_hand() -> None:
    """Two SGD steps equal y - eta (g - c_k + c); the new control is c_k - c + (w - y) / (S eta)."""
    found = Federation(CASE, 1)
    site, runtime = found.site, found.runtime
    member, memory = next(iter(runtime.memories.items()))
    constant = {n: torch.full_like(v, 0.01) for n, v in memory.slots[CONTROL].items()}
    server = {n: torch.full_like(v, -0.02) for n, v in memory.slots[CONTROL].items()}
    shifted = memory.put({CONTROL: constant, SERVER: server})
    from msmtrec.federation.packed import Job
    from msmtrec.federation.stack import run_phase
    from msmtrec.methods.phases import LocalRound, Phase

    local = LocalRound(1, 0.1)
    (phase,) = found.method.local(local)
    job = Job(member, shifted, shifted, 32, steps=1)
    with_control = run_phase(site.model, phase, [job], site.deck)[member].memory
    without = run_phase(site.model, Phase(rule=local.sgd), [job], site.deck)[member].memory
    gate = next(n for n, role in site.model.roles().items() if role is Role.GATE)
    assert torch.allclose(with_control.model[gate], without.model[gate] - 0.1 * (-0.02 - 0.01))
    expected = 0.01 + 0.02 + (memory.model[gate] - with_control.model[gate]) / (1 * 0.1)
    assert torch.allclose(with_control.slots[CONTROL][gate], expected)
    assert torch.allclose(with_control.slots[CHANGE][gate], expected - 0.01)


def test_with_newcomers_the_servers_control_is_the_mean_over_more() -> None:
    """Whose control variates are 0 at first."""
    m = method("scaffold")
    state = start(m, rows={"a": 10, "b": 30})
    state = replace(state, control={name: torch.full_like(value, 1.5) for name, value in state.control.items()})
    grown = m.grown(state, {"a": 10, "b": 30, "c": 5})
    assert grown.scenarios == 3
    assert all((value == 1.0).all() for value in grown.control.values())
    again = m.grown(grown, {"a": 10, "b": 30, "c": 5})
    assert all(torch.equal(value, grown.control[name]) for name, value in again.control.items())
