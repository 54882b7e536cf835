"""What a phase may ask for: roles, slots, shares, repeats, rates, losses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from federation.test_stack import difference, even, train
from msmtrec.base.roles import Role
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck, sample
from msmtrec.methods.phases import Adam, squared_distance
from msmtrec.models.settings.mmoe import MMoESettings


def test_an_extra_loss_is_its_gradient(synthetic: EncodedData, deck: Deck) -> None:
    """One step from zero moments moves by sign(gradient): a huge penalty turns every W_scen towards its anchor."""
    model = MMoESettings(template=True).build(synthetic.layout)
    job = even(synthetic, model, deck, 1, 32)[0]
    names = [n for n, role in model.roles().items() if role is Role.EXPERT_SCENARIO]
    memory = job.memory.put({"anchor": {n: job.memory.model[n] + 1 for n in names}})
    job = replace(job, memory=memory, received=memory)

    def extra(leaves: Any, work: Any) -> torch.Tensor:
        return 1e6 * squared_distance(leaves["model"], work.slots["anchor"], names)

    moved = train(model, [job], deck, 1e-3, extra=extra)[job.member].memory
    for n in names:
        step = moved.model[n] - memory.model[n]
        assert torch.allclose(step, torch.full_like(step, 1e-3), rtol=1e-5)


def test_a_phase_goes_on_where_its_clock_stands(synthetic: EncodedData, deck: Deck) -> None:
    """Two orders of three steps are one of six: rows, dropout and Adam's counters."""
    model = MMoESettings(template=True, dropout=0.3).build(synthetic.layout)
    work = even(synthetic, model, deck, 6)
    at_once = train(model, work, deck, 1e-2)
    first = train(model, [replace(job, steps=3) for job in work], deck, 1e-2)
    rest = [replace(job, memory=first[job.member].memory, steps=3) for job in work]
    for member, trained in train(model, rest, deck, 1e-2).items():
        assert difference(trained.memory, at_once[member].memory) < 1e-12
        assert trained.memory.clocks == {"rounds": 6}


def test_members_whose_moments_have_seen_different_steps_train_together_as_alone(
    synthetic: EncodedData, deck: Deck
) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    work = even(synthetic, model, deck, 2)
    ahead = train(model, [replace(work[1], steps=3)], deck, 1e-2)[work[1].member].memory
    work[1] = replace(work[1], memory=ahead)
    together = train(model, work, deck, 1e-2)
    assert [together[job.member].memory.counters["rounds"] for job in work] == [2, 5, 2]
    other = replace(work[0].memory, clocks={"head": 7}, counters={"head": 6})
    after = train(model, [replace(work[0], memory=other)], deck, 1e-2)[work[0].member].memory
    assert (after.clocks, after.counters) == ({"head": 7, "rounds": 2}, {"head": 6, "rounds": 2})
    for job in work:
        alone = train(model, [job], deck, 1e-2)[job.member].memory
        assert difference(together[job.member].memory, alone) < 1e-10


def test_only_the_phases_roles_move(synthetic: EncodedData, deck: Deck) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    work = even(synthetic, model, deck, 2)
    head = frozenset({Role.TOWER, Role.GATE})
    for member, trained in train(model, work, deck, 1e-2, roles=head).items():
        before = next(job.memory.model for job in work if job.member == member)
        moved = {n for n, value in trained.memory.model.items() if not torch.equal(value, before[n])}
        assert moved == {n for n, role in model.roles().items() if role in head}


def test_a_phase_may_start_from_another_slot_and_leave_that_alone(synthetic: EncodedData, deck: Deck) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    job = even(synthetic, model, deck, 2)[0]
    ahead = train(model, [job], deck, 1e-2, slot="ahead", start="model")[job.member].memory
    plain = train(model, [job], deck, 1e-2)[job.member].memory
    assert all(torch.equal(ahead.model[n], value) for n, value in job.memory.model.items())
    assert all(torch.equal(ahead.slots["ahead"][n], value) for n, value in plain.model.items())
    assert ahead.apart == {"ahead"}
    again = train(model, [replace(job, memory=ahead)], deck, 1e-2, slot="ahead", start="model")[job.member].memory
    assert again.counters == {"rounds": 2}  # fresh moments
    bare = replace(ahead, slots={name: held for name, held in ahead.slots.items() if name in ("model", "whole")})
    wanted = train(model, [replace(job, memory=bare)], deck, 1e-2, slot="ahead", start="model")[job.member].memory
    assert difference(again, wanted) == 0
    assert again.clocks == {"rounds": 4}


def test_shares_passes_repeats_and_ends(synthetic: EncodedData, deck: Deck) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    job = even(synthetic, model, deck, 99)[0]
    rows = deck.sizes["scenario-0"]
    found = train(model, [job], deck, 1e-3, share=0.5, passes=1)[job.member]
    wanted = sample(job.member, "rounds", rows, rows // 2, 1)
    assert sorted(found.rows.tolist()) == sorted(wanted.tolist())  # half of the rows, each once
    seen: list[int] = []

    def until(losses: Any) -> bool:
        seen.append(len(losses))
        return len(losses) == 3

    again = train(model, [job], deck, 1e-3, steps=2, until=until)[job.member]
    assert seen == [1, 2, 3]
    assert again.memory.clocks == {"rounds": 6}
    twice = train(model, [job], deck, 1e-3, steps=1, repeat=2)[job.member].memory
    once = train(model, [job], deck, 1e-3, steps=1)[job.member].memory
    assert twice.clocks == once.clocks == {"rounds": 1}
    assert difference(twice, once) > 1e-5


def test_a_hook_after_each_batch_changes_slots_in_place(synthetic: EncodedData, deck: Deck) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    work = even(synthetic, model, deck, 3)
    work[1] = replace(work[1], steps=2)
    count = {"average": {"batches": torch.zeros(1)}}
    work = [replace(job, memory=job.memory.put(count)) for job in work]

    def after(found: Any) -> None:
        found.slots["average"]["batches"].add_(1)

    trained = train(model, work, deck, 1e-3, repeat=2, after_batch=after)
    assert [float(trained[job.member].memory.slots["average"]["batches"]) for job in work] == [3, 2, 3]
    assert float(count["average"]["batches"]) == 0


def test_rates_by_role_and_slot(synthetic: EncodedData, deck: Deck) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    job = even(synthetic, model, deck, 1)[0]
    moved = train(model, [job], deck, 0, rule=Adam(1e-2, rates={Role.TOWER: 1e-4}))[job.member].memory.model
    for n, role in model.roles().items():
        if role in (Role.EXPERT_LOCAL, Role.EXPERT_TASK):
            continue  # biases' factors get no gradient while b_scen is 0
        step = float((moved[n] - job.memory.model[n]).abs().max())
        assert step == pytest.approx(1e-4 if role is Role.TOWER else 1e-2, rel=1e-3), n


def test_a_gradient_rule_may_weigh_tasks(synthetic: EncodedData, deck: Deck) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    job = even(synthetic, model, deck, 2)[0]

    def first_task_only(losses: torch.Tensor, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
        assert losses.shape == (1, 2)
        return list(torch.autograd.grad(losses[:, 0].sum(), leaves))

    moved = train(model, [job], deck, 1e-2, gradient=first_task_only)[job.member].memory.model
    assert torch.equal(moved["tower.0.weight"][1], job.memory.model["tower.0.weight"][1])
    assert not torch.equal(moved["tower.0.weight"][0], job.memory.model["tower.0.weight"][0])
