"""FedProx: all properties, one step of a scenario by hand, and what a penalty of zero is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods import METHODS
from msmtrec.methods.phases import SGD, LocalRound

CASE = Case("fedprox", {"embeddings": "shared", "penalty": 0.5}, {"penalty": 5.0, "embeddings": "local"})


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_two_scenarios_by_hand() -> None:
    m = method("fedprox")
    sent = {n: upload(m, n, rows=r, tower=torch.full((2, 2), v)) for n, r, v in (("a", 3, 1.0), ("b", 1, 5.0))}
    assert aggregate(m, start(m), sent).replies["b"].model["tower"].unique().tolist() == [2.0]


def test_a_scenarios_step_by_hand() -> None:
    """Against a plain step it differs by eta mu (w_k - w), w as received; what does not travel is free."""
    found = Federation(CASE, 1)
    member, memory = next(iter(found.runtime.memories.items()))
    moved = memory.put({"model": {n: v + 0.3 for n, v in memory.model.items()}})
    (phase,) = found.method.local(LocalRound(1, 0.1))
    phase, job = replace(phase, rule=SGD(0.1)), Job(member, moved, memory, 32, steps=1)
    held, plain = (
        run_phase(found.site.model, p, [job], found.site.deck)[member].memory.model
        for p in (phase, replace(phase, extra=None))
    )
    for name, value in plain.items():
        pull = 0.1 * 0.5 * 0.3 if name in found.method.network() else 0.0
        assert torch.allclose(held[name], value - pull, atol=1e-12), name


@pytest.mark.parametrize(("embeddings", "same"), [("local", "fedavg"), ("shared", "fedavg-all")])
def test_a_penalty_of_zero_is_an_average_and_says_so(embeddings: str, same: str) -> None:
    options = {"penalty": 0, "embeddings": embeddings}
    ours, theirs = Federation(Case("fedprox", options), 2).run().served(), Federation(Case(same), 2).run().served()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    (sentence,) = METHODS["fedprox"].settings(**options).cautions()
    assert sentence.endswith(f"this is {same}")
    assert not list(METHODS["fedprox"].settings().cautions())
