"""FedMTL: all properties, two scenarios by hand, and a regulariser whose gradient is the one of the whole problem."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.aggregation.relations import mean_pull, precision
from msmtrec.federation.gather import gather
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods import METHODS
from msmtrec.methods.base import Upload
from msmtrec.methods.fedmtl import PULL, TARGET, targets
from msmtrec.methods.phases import SGD, LocalRound

CHANGES = {"penalty": 2.0, "relations": "mean", "embeddings": "local"}
CASE = Case("fedmtl", {"embeddings": "shared"}, CHANGES)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


@pytest.mark.parametrize("relations", ["mean", "learned"])
def test_two_scenarios_by_hand(relations: str) -> None:
    """Towers 1 and 3: Omega = [[.5, -.5], [-.5, .5]] either way; each one's point of rest is the other."""
    m = method("fedmtl", relations=relations)
    sent = {n: upload(m, n, tower=torch.full((2, 2), v)) for n, v in (("a", 1.0), ("b", 3.0))}
    replies = aggregate(m, start(m), sent).replies
    for name, value in (("a", 3.0), ("b", 1.0)):
        assert torch.allclose(replies[name].slots[TARGET]["tower"], torch.full((2, 2), value))
        assert float(replies[name].slots[PULL]["omega"]) == pytest.approx(0.5)
        assert not replies[name].model


def test_who_is_close_is_drawn_closer() -> None:
    """Towers 0, .1 and 5: learned relations draw a and b to each other, and c less than the mean would."""
    found = {}
    for relations in ("mean", "learned"):
        m = method("fedmtl", relations=relations)
        rows = {"a": (0.0, 0.0), "b": (0.1, 0.0), "c": (0.0, 5.0)}
        sent = {n: upload(m, n, tower=torch.tensor([pair, (0.0, 0.0)])) for n, pair in rows.items()}
        found[relations] = aggregate(m, start(m), sent).replies
    target = {kind: replies["a"].slots[TARGET]["tower"][0] for kind, replies in found.items()}
    pull = {kind: {n: float(r.slots[PULL]["omega"]) for n, r in replies.items()} for kind, replies in found.items()}
    assert torch.allclose(target["mean"], torch.tensor([0.05, 2.5]))
    assert torch.allclose(target["learned"], torch.tensor([0.1, 0.0]), atol=0.15)
    assert pull["learned"]["a"] > 2 * pull["mean"]["a"]
    assert pull["learned"]["c"] < pull["mean"]["c"]


@pytest.mark.parametrize("relations", ["mean", "learned"])
def test_the_regularisers_gradient_is_that_of_the_whole_problem(relations: str) -> None:
    """One plain step differs by eta · 2 lambda (W Omega)_k from one without; (W Omega)_k by autograd, Omega fixed."""
    found = Federation(CASE, 1)
    m = CASE.build(found.method.declarations, penalty=0.7, relations=relations, embeddings="local")
    members, models = found.runtime.memories, {}
    for place, (member, memory) in enumerate(members.items()):
        noise = torch.Generator().manual_seed(place)
        drawn = {n: 0.1 * torch.randn(memory.model[n].shape, generator=noise, dtype=torch.float64) for n in m.drawn}
        models[member.scenario] = {n: memory.model[n] + value for n, value in drawn.items()}
    uploads = {name: Upload(name, 1, (True, True), {"model": sent}) for name, sent in models.items()}
    some = next(iter(models.values()))
    replies = m.aggregate(m.init(some, {}), gather(m, m.init(some, {}), uploads, {})).replies
    W = torch.stack([torch.cat([sent[n].flatten() for n in m.drawn]) for sent in models.values()], 1).requires_grad_()
    centred = (W - W.mean(1, keepdim=True)).detach()
    omega = precision(centred.T @ centred) if relations == "learned" else mean_pull(3)
    (gradient,) = torch.autograd.grad(0.7 * torch.trace(W @ omega @ W.T), W)
    assert float(gradient.abs().max()) > 0.01
    (phase,) = m.local(LocalRound(1, 0.1))
    phase = replace(phase, rule=SGD(0.1))
    for place, (member, memory) in enumerate(members.items()):
        there = memory.put({"model": models[member.scenario], **replies[member.scenario].slots})
        job = Job(member, there, there, 32, steps=1)
        drawn, plain = (
            run_phase(found.site.model, p, [job], found.site.deck)[member].memory.model
            for p in (phase, replace(phase, extra=None))
        )
        moved = torch.cat([(plain[n] - drawn[n]).flatten() for n in m.drawn])
        assert torch.allclose(moved, 0.1 * gradient[:, place], atol=1e-12)


def test_alone_one_is_drawn_to_oneself_and_two_that_are_the_same_to_each_other() -> None:
    assert targets(mean_pull(1)).tolist() == [[1.0]]
    same = precision(torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)))
    assert bool(same.isfinite().all())
    assert targets(same)[2].tolist() == pytest.approx([0.0, 0.0, 0.0, 1.0], abs=0.01)


def test_a_penalty_of_zero_is_local_training_and_says_so() -> None:
    ours, theirs = (Federation(Case(n, o), 2).run().served() for n, o in (("fedmtl", {"penalty": 0}), ("local", {})))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert [s[:9] for s in METHODS["fedmtl"].settings(penalty=0).cautions()] == ["penalty 0"]
