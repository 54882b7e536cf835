"""pFedMe: all properties, the server's mean and both models' steps by hand."""

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
from msmtrec.methods.pfedme import CENTRE
from msmtrec.methods.phases import SGD, LocalRound

CHANGES = {"penalty": 3.0, "inner_steps": 2, "rate": 0.02, "beta": 0.5, "embeddings": "local"}
CASE = Case("pfedme", {"embeddings": "shared"}, CHANGES)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_the_server_by_hand() -> None:
    """w = 0; the scenarios' 1 and 5 by rows: 2, of which beta .25 is .5; then the same once more: 7/8."""
    m = method("pfedme", beta=0.25)
    slots = {n: {CENTRE: {"tower": torch.full((2, 2), v)}} for n, v in (("a", 1.0), ("b", 5.0))}
    sent = {"a": upload(m, "a", rows=3, slots=slots["a"]), "b": upload(m, "b", rows=1, slots=slots["b"])}
    found = aggregate(m, start(m), sent)
    assert found.replies["a"].slots[CENTRE]["tower"].unique().tolist() == [0.5]
    assert not found.replies["a"].model  # theta stays
    assert aggregate(m, found.state, sent).replies["b"].slots[CENTRE]["tower"].unique().tolist() == [0.875]


def prepared(**options: float):  # type: ignore[no-untyped-def]
    """A scenario whose personal model is .5 beyond the common one; phases of plain gradient descent, rate .1."""
    found = Federation(CASE, 1)
    member, memory = next(iter(found.runtime.memories.items()))
    m = CASE.build(found.method.declarations, **options)
    away = memory.put({"model": {n: memory.model[n] + 0.5 for n in m.centred}})
    begin, steps = m.local(LocalRound(1, 0.1))

    def run(phase, memory, count=1):  # type: ignore[no-untyped-def]
        job = Job(member, memory, memory, 32, steps=count)
        return run_phase(found.site.model, phase, [job], found.site.deck)[member].memory

    return m, away, begin, replace(steps, rule=SGD(0.1)), run


def test_one_step_of_each_model_by_hand() -> None:
    """theta differs by eta_p lambda (theta - w) from a plain step; w goes eta lambda of the way to it."""
    m, away, _, steps, run = prepared(inner_steps=1, penalty=2.0, rate=0.1)
    plain, after = run(replace(steps, extra=None, after_batch=None), away), run(steps, away)
    for name in m.centred:
        assert torch.allclose(after.model[name], plain.model[name] - 0.1 * 2.0 * 0.5, atol=1e-12), name
        w = away.slots[CENTRE][name]
        assert torch.allclose(after.slots[CENTRE][name], w - 0.1 * 2.0 * (w - after.model[name]), atol=1e-12), name
    assert torch.equal(after.model["embedding"], plain.model["embedding"])


def test_w_follows_after_each_batch_and_not_after_each_step() -> None:
    """With theta held still, two batches of three steps bring w to 1 - (1 - .2)² of the way."""
    m, away, _, steps, run = prepared(inner_steps=3, penalty=2.0, rate=0.1)
    after = run(replace(steps, rule=SGD(0.0)), away, 2)
    for name in m.centred:
        assert torch.allclose(after.slots[CENTRE][name], away.slots[CENTRE][name] + 0.36 * 0.5, atol=1e-12), name


def test_theta_begins_each_round_at_w_and_ends_it_elsewhere() -> None:
    m, away, begin, steps, run = prepared()
    there = run(begin, away)
    trained = run(steps, there, 3)
    for name in m.centred:
        assert torch.equal(there.model[name], away.slots[CENTRE][name]), name
        assert not torch.equal(trained.model[name], trained.slots[CENTRE][name]), name
        assert torch.equal(there.slots[CENTRE][name], away.slots[CENTRE][name]), name


def test_who_is_new_begins_at_w_and_who_was_there_has_its_own() -> None:
    m = method("pfedme", embeddings="shared")
    sent = {"a": upload(m, "a", slots={CENTRE: {"tower": torch.full((2, 2), 2.0)}})}
    state, replies = m.again(aggregate(m, start(m), sent).state, {"a": 1, "new": 1})
    assert replies["new"].model["tower"].unique().tolist() == [2.0]
    assert replies["a"].model.keys() == {"shared_embedding"}
    assert all(replies[n].slots[CENTRE]["tower"].unique().tolist() == [2.0] for n in ("a", "new"))
    assert state.met == {"a", "new"}


def test_a_step_beyond_the_personal_model_is_said() -> None:
    settings = METHODS["pfedme"].settings
    assert next(iter(settings(rate=0.1).cautions())).startswith("rate times penalty is 1.5")
    assert not list(settings().cautions())
