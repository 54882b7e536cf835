"""FedAMP: all properties, two and three scenarios by hand, and the pull to the cloud model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods import METHODS
from msmtrec.methods.fedamp import CLOUD, attention
from msmtrec.methods.phases import SGD, LocalRound

CHANGES = {"alpha": 0.5, "sigma": 0.3, "penalty": 5.0, "embeddings": "local"}
CASE = Case("fedamp", {"embeddings": "shared"}, CHANGES)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_two_scenarios_by_hand() -> None:
    """Towers 1 and 3: their distance is the mean of all, 1 in its unit. xi_ab = .5 exp(-1/.8)/.8, u_a = 1 + 2 xi_ab."""
    m = method("fedamp", alpha=0.5, sigma=0.8)
    sent = {n: upload(m, n, tower=torch.full((2, 2), v)) for n, v in (("a", 1.0), ("b", 3.0))}
    found = aggregate(m, start(m), sent)
    xi = 0.5 * math.exp(-1 / 0.8) / 0.8
    for name, value in (("a", 1 + 2 * xi), ("b", 3 - 2 * xi)):
        assert torch.allclose(found.replies[name].slots[CLOUD]["tower"], torch.full((2, 2), value))
        assert not found.replies[name].model  # w stays what it is
    assert found.diagnostics["own_weight"]["a"] == pytest.approx(1 - xi)


def test_distances_are_squared() -> None:
    """Towers 0, 1 and 3, of 4 numbers: squared distances 4, 36 and 16, their mean 56/3; not squared: 2, 6, 4."""
    m = method("fedamp")
    sent = {n: upload(m, n, tower=torch.full((2, 2), v)) for n, v in (("a", 0.0), ("b", 1.0), ("c", 3.0))}
    found = aggregate(m, start(m), sent)
    b, c = (math.exp(-d / (56 / 3)) / 2 for d in (4, 36))
    assert found.replies["a"].slots[CLOUD]["tower"].flatten().tolist() == pytest.approx([b + 3 * c] * 4)
    assert found.diagnostics["own_weight"]["a"] == pytest.approx(1 - b - c)


def test_attention_knows_no_unit_and_keeps_to_the_models() -> None:
    """The same for a network a million times as large; never a negative weight, however many or near they are."""
    distances = torch.tensor([[0.0, 4.0, 36.0], [4.0, 0.0, 16.0], [36.0, 16.0, 0.0]], dtype=torch.float64)
    for scale in (1e-20, 1e6, 1e20):
        assert torch.allclose(attention(distances * scale, 1.0, 0.5), attention(distances, 1.0, 0.5))
    for count in (1, 2, 30):
        found = attention(torch.zeros(count, count, dtype=torch.float64), 3.0, 1.0)
        assert torch.allclose(found.sum(1), torch.ones(count, dtype=torch.float64))
        assert bool((found >= -1e-15).all())
    assert attention(torch.zeros(3, 3, dtype=torch.float64), 3.0, 1.0)[0].tolist() == [0.0, 0.5, 0.5]


def test_a_scenarios_step_by_hand() -> None:
    """Against a plain step it differs by eta lambda/alpha (w - u); what does not travel is free."""
    found = Federation(CASE, 1)
    member, memory = next(iter(found.runtime.memories.items()))
    away = memory.put({CLOUD: {n: v - 0.3 for n, v in memory.slots[CLOUD].items()}})
    m = CASE.build(found.method.declarations, penalty=2.0, alpha=0.5)
    (phase,) = m.local(LocalRound(1, 0.1))
    phase, job = replace(phase, rule=SGD(0.1)), Job(member, away, away, 32, steps=1)
    held, plain = (
        run_phase(found.site.model, p, [job], found.site.deck)[member].memory.model
        for p in (phase, replace(phase, extra=None))
    )
    for name, value in plain.items():
        pull = 0.1 * 2.0 / 0.5 * 0.3 if name in m.near else 0.0
        assert torch.allclose(held[name], value - pull, atol=1e-12), name


def test_a_penalty_of_zero_is_local_training_and_says_so() -> None:
    ours, theirs = (Federation(Case(n, o), 2).run().served() for n, o in (("fedamp", {"penalty": 0}), ("local", {})))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert [s[:9] for s in METHODS["fedamp"].settings(penalty=0).cautions()] == ["penalty 0"]
