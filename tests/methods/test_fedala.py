"""FedALA: all properties, and the mixing weights by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.federation import Case, Federation
from methods.suite import ALL
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods.fedala import GLOBAL, MIXING
from msmtrec.methods.phases import MODEL, SGD, LocalRound

CHANGES = {"rate": 0.1, "share": 0.4, "steady": 1e-9, "losses": 2, "passes": 3, "embeddings": "local"}
CASE = Case("fedala", {"embeddings": "shared", "rate": 5.0}, CHANGES, adopts=False)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def prepared():  # type: ignore[no-untyped-def]
    """A scenario whose mean has arrived: its towers are .3 away."""
    found = Federation(CASE, 1)
    member, memory = next(iter(found.runtime.memories.items()))
    towers = {n: v + 0.3 for n, v in memory.model.items() if n in found.method.adapted}
    network = {n: memory.model[n] for n in found.method.network()}
    return found, member, memory.put({GLOBAL: {**network, **towers}})


def test_one_step_of_the_weights_by_hand() -> None:
    """W <- clip(W - eta grad ⊙ (θ - θ_i), 0, 1) on one batch, grad that of the mixed towers."""
    found, member, memory = prepared()
    half = {n: torch.full_like(w, 0.5) for n, w in memory.slots[MIXING].items()}
    memory = memory.put({MIXING: half})
    (phase,) = found.method.adapt(LocalRound(2, 0.01))
    phase = replace(phase, until=None, passes=None, steps=1, share=1.0)
    job = Job(member, memory, memory, 10**6, steps=1)
    after = run_phase(found.site.model, phase, [job], found.site.deck)[member].memory
    middle = memory.put({MODEL: {n: memory.model[n] + 0.15 for n in found.method.adapted}})
    plain = replace(phase, roles=None, also=(), compose=None, project=None, finish=None, name=MIXING)
    moved = run_phase(found.site.model, plain, [Job(member, middle, middle, 10**6, steps=1)], found.site.deck)[
        member
    ].memory
    for n in found.method.adapted:
        gradient = (middle.model[n] - moved.model[n]) / 5.0
        expected = (0.5 - 5.0 * gradient * 0.3).clamp(0, 1)
        assert torch.allclose(after.slots[MIXING][n], expected, atol=1e-12), n
        assert torch.allclose(after.model[n], memory.model[n] + 0.3 * expected), n


def test_the_mean_does_not_overwrite_the_towers_but_all_else() -> None:
    found, member, memory = prepared()
    zero = {n: torch.zeros_like(w) for n, w in memory.slots[MIXING].items()}
    memory = memory.put({MIXING: zero, GLOBAL: {"gate": torch.full_like(memory.model["gate"], 9.0)}})
    (phase,) = found.method.adapt(LocalRound(2, 0.01))
    job = Job(member, memory, memory, 32, steps=1)
    after = run_phase(found.site.model, replace(phase, steps=0, passes=None, until=None), [job], found.site.deck)
    assert after[member].memory.model["gate"].unique().tolist() == [9.0]
    assert all(torch.equal(after[member].memory.model[n], memory.model[n]) for n in found.method.adapted)


def test_the_mixture_does_not_compound_over_passes() -> None:
    """With W held at .5 the towers are halfway to the mean, after however many passes."""
    found, member, memory = prepared()
    half = {n: torch.full_like(w, 0.5) for n, w in memory.slots[MIXING].items()}
    memory = memory.put({MIXING: half})
    (phase,) = found.method.adapt(LocalRound(2, 0.01))
    for passes in (1, 2, 5):
        still = replace(phase, rule=SGD(0.0), until=lambda losses, passes=passes: len(losses) >= passes)
        after = run_phase(found.site.model, still, [Job(member, memory, memory, 64, steps=1)], found.site.deck)[
            member
        ].memory
        for n in found.method.adapted:
            assert torch.allclose(after.model[n], memory.model[n] + 0.15), (n, passes)


def test_passes_go_on_until_the_loss_is_steady_the_first_time_only() -> None:
    found, member, memory = prepared()
    for done, passes in ((frozenset(), 11), (frozenset({MIXING}), 1)):
        (phase,) = found.method.adapt(LocalRound(2, 0.01, done=done))
        phase = replace(phase, until=phase.until and (lambda losses: len(losses) > 10))
        trained = run_phase(found.site.model, phase, [Job(member, memory, memory, 32, steps=1)], found.site.deck)[
            member
        ]
        rows = round(0.8 * found.site.deck.sizes[member.scenario])
        assert len(trained.rows) == passes * rows
    first, later = (
        found.method.adapt(LocalRound(2, 0.01, done=d))[0].until for d in (frozenset(), frozenset({MIXING}))
    )
    assert later is None
    assert first is not None
    assert not first([0.7] * 10)
    assert first([0.7] * 11)
    assert not first([0.1, 0.9] * 6)
