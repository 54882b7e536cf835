"""APPLE: all properties, and the mixture of two scenarios by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.base.errors import UserError
from msmtrec.federation.packed import Job
from msmtrec.federation.server import ServerState, catch_up
from msmtrec.federation.stack import run_phase
from msmtrec.methods.apple import CORE, CORES, MIXING, ROSTER, _falling
from msmtrec.methods.phases import LocalRound

CHANGES = {"mixing_rate": 1.0, "penalty": 5.0, "penalty_rounds": 1, "embeddings": "local"}
CASE = Case("apple", {"embeddings": "shared"}, CHANGES, identity=False)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_the_core_is_uploaded_and_all_cores_come_down() -> None:
    m = method("apple")
    state = start(m, {"a": 3, "b": 1})
    assert state.shares.tolist() == [0.75, 0.25]
    sent = {"b": upload(m, "b", slots={CORE: {"tower": torch.full((2, 2), 5.0)}})}
    found = aggregate(m, state, sent)
    cores = found.replies["b"].slots[CORES]["tower"]
    assert [core.unique().tolist() for core in cores] == [[0.0], [5.0]]  # a, absent, keeps its own
    first = m.first(state, "b")
    assert first.slots[ROSTER]["own"].tolist() == [0, 1]
    assert first.slots[MIXING]["p"].tolist() == [0.75, 0.25]
    with pytest.raises(UserError, match=r"apple: scenario 'late' was not there at the start"):
        m.welcome(state, "late")


def test_a_scenario_that_was_away_keeps_its_mixture() -> None:
    m = method("apple")
    state = aggregate(m, start(m, {"a": 3, "b": 1}), {"b": upload(m, "b", slots={CORE: {}})}).state
    assert MIXING not in m.welcome(state, "b")[1].slots
    assert set(m.welcome(state, "a")[1].slots) == {CORES, MIXING, ROSTER}
    later, _ = catch_up(m, ServerState(state, {"b": 1}), "b", 50)
    assert later.held == {"b": 49}  # a core does not age


def test_the_mixture_by_hand() -> None:
    """What is served is sum over j of p_j core_j with one's own core as it is now; both move when trained."""
    found = Federation(CASE, 1)
    names = found.method.names
    memories = {}
    for place, (member, memory) in enumerate(found.runtime.memories.items()):
        reply = found.standing.servers[0].owed[member.scenario]
        cores = {n: torch.stack([memory.slots[CORE][n] + 0.1 * j for j in range(3)]) for n in names}
        own = {n: memory.slots[CORE][n] + 0.5 for n in names}
        weights = torch.tensor([0.5, 0.3, -0.1], dtype=torch.float64)
        slots = {**reply.slots, CORES: cores, CORE: own, MIXING: {"p": weights}}
        memories[member] = memory.put({s: v for s, v in slots.items() if s != "model"})
        assert reply.slots[ROSTER]["own"].tolist().index(1) == place
    jobs = [Job(m, memory, memory, 32, steps=1) for m, memory in memories.items()]
    (compose,) = found.method.adapt(LocalRound(1, 0.01))
    served = run_phase(found.site.model, compose, jobs, found.site.deck)
    for place, (member, memory) in enumerate(memories.items()):
        weights = [0.5, 0.3, -0.1]
        core = memory.slots[CORE]["gate"] - 0.5
        parts = [core + 0.5 if j == place else core + 0.1 * j for j in range(3)]
        wanted = sum(w * part for w, part in zip(weights, parts, strict=True))
        assert torch.allclose(served[member].memory.model["gate"], wanted)
    (local,) = found.method.local(LocalRound(1, 0.01))
    for member, trained in run_phase(found.site.model, local, jobs, found.site.deck).items():
        before = memories[member]
        assert not torch.equal(trained.memory.slots[CORE]["gate"], before.slots[CORE]["gate"])
        assert float((trained.memory.slots[MIXING]["p"] - before.slots[MIXING]["p"]).abs().max()) <= 0.001 + 1e-9
        assert trained.memory.slots[CORES] is before.slots[CORES]
        own = before.slots[ROSTER]["own"].tolist().index(1)
        parts = [*before.slots[CORES]["gate"]]
        parts[own] = trained.memory.slots[CORE]["gate"]  # what is measured after the steps is the new mixture
        wanted = sum(w * part for w, part in zip(trained.memory.slots[MIXING]["p"], parts, strict=True))
        assert torch.allclose(trained.memory.model["gate"], wanted)
    other = jobs[1].memory.put({CORES: {n: cores[n] + 1 for n in names}})
    with pytest.raises(AssertionError, match=f"members of a federation differ in '{CORES}'"):
        run_phase(found.site.model, compose, [jobs[0], replace(jobs[1], memory=other)], found.site.deck)


def test_the_penalty_falls_by_a_half_cosine() -> None:
    assert [_falling(r, 4) for r in (1, 3, 5, 6)] == [1.0, pytest.approx(0.5), 0.0, 0.0]
