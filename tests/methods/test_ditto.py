"""Ditto: all properties, and one step of the personal model by hand."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case, Federation
from methods.suite import ALL
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods.ditto import PERSONAL
from msmtrec.methods.phases import SGD, LocalRound

CASE = Case("ditto", {"embeddings": "shared"}, {"penalty": 5.0, "embeddings": "local"}, tolerance=1e-2)
"""Where the data give no gradient, v - w is rounding alone, and Adam turns that into steps of up to its rate."""


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_the_personal_step_by_hand() -> None:
    """v - eta (grad F(v) + lambda (v - w)): against a step without the penalty it differs by eta lambda (v - w)."""
    from dataclasses import replace

    found = Federation(CASE, 1)
    member, memory = next(iter(found.runtime.memories.items()))
    gate = torch.full_like(memory.model["gate"], 0.5)
    away = memory.put({PERSONAL: {"gate": memory.model["gate"] + gate}})  # v - w = .5
    _, personal = found.method.local(LocalRound(1, 0.1))
    job = Job(member, away, away, 32, steps=1)
    phase = replace(personal, rule=SGD(0.1))
    one = run_phase(found.site.model, phase, [job], found.site.deck)[member].memory
    two = run_phase(found.site.model, replace(phase, extra=None), [job], found.site.deck)[member].memory
    assert torch.allclose(one.slots[PERSONAL]["gate"], two.slots[PERSONAL]["gate"] - 0.1 * 1.0 * 0.5)
    assert torch.equal(one.model["gate"], memory.model["gate"])


def test_the_common_model_is_fedavgs_tables_and_all() -> None:
    """The personal phase's batches count for nothing in the means of shared tables."""
    ours, theirs = Federation(CASE, 3).run(), Federation(Case("fedavg-all"), 3).run()
    means = ours.standing.servers[0].method.parameters
    for name, value in theirs.standing.servers[0].method.parameters.items():
        assert torch.allclose(means[name], value, atol=1e-12), name


def test_the_personal_model_is_served_and_the_common_one_averaged() -> None:
    found = Federation(CASE, 2).run()
    first, second = list(found.runtime.memories.values())[:2]
    assert torch.equal(first.model["gate"], second.model["gate"])
    assert not torch.equal(first.slots[PERSONAL]["gate"], second.slots[PERSONAL]["gate"])
    assert torch.equal(
        first.whole(found.method.served, found.site.deck.used["scenario-0"])["gate"], first.slots[PERSONAL]["gate"]
    )
