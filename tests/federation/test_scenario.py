"""A scenario carries out orders: what it loads, trains, sends, keeps; nothing that it was given changes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from msmtrec.base.member import Member
from msmtrec.base.packing import pack, unpack
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck
from msmtrec.federation.memory import Memory, Shipment
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.scenario import scenario_steps
from msmtrec.federation.site import Site
from msmtrec.federation.stacks import stacks
from msmtrec.methods import METHODS
from msmtrec.methods.base import Reply
from msmtrec.models.settings.mmoe import MMoESettings


def site(data: EncodedData, name: str = "fedavg-all", **options: Any) -> Site:
    model = MMoESettings(template=True, embedding_dim=4, expert_layers=(8,), tower_layers=()).build(data.layout)
    entry = METHODS[name]
    method = entry.settings(**{**entry.defaults, **options}).build(model.declare())
    deck = Deck(data, torch.float64, torch.device("cpu"))
    batches, steps = dict.fromkeys(data.scenarios, 32), dict.fromkeys(data.scenarios, 3)
    return Site(data, deck, model, method, batches=batches, steps=steps, rate=1e-2)


def members(where: Site) -> dict[Member, Memory]:
    first = {}
    for name, table in where.data.tables.items():
        parameters = where.model.initialise(0, name, table.private_rows, torch.float64)
        first[Member(0, name)] = where.begin(Member(0, name), parameters, Shipment(where.deck.device))
    return first


def alike(one: Memory, two: Memory) -> bool:
    same = (one.clocks, one.apart, one.betas, one.slots.keys()) == (two.clocks, two.apart, two.betas, two.slots.keys())
    return same and all(
        torch.equal(value, two.slots[slot][name]) for slot, held in one.slots.items() for name, value in held.items()
    )


def test_one_scenario_alone_does_what_it_does_among_others(synthetic: EncodedData) -> None:
    where = replace(site(synthetic), stack="off")
    before = members(where)
    order = Order(1, train="rounds", measure_trained=True)
    together, reports = scenario_steps(where, dict.fromkeys(before, order), before)
    for member in before:
        alone, report = scenario_steps(where, {member: order}, before)
        assert alike(alone[member], together[member])
        assert report[member].trained == reports[member].trained != ()
        assert together[member].best == reports[member].best == {}  # a round counts once it is aggregated


def test_what_was_given_is_not_changed_and_the_same_order_gives_the_same(synthetic: EncodedData) -> None:
    where = site(synthetic, "pf-msmtrec", penalty=0.1)
    before = members(where)
    kept = {m: unpack(Memory, *pack(memory)) for m, memory in before.items()}
    kept = {
        m: replace(k, slots={s: {n: v.clone() for n, v in h.items()} for s, h in k.slots.items()})
        for m, k in kept.items()
    }
    order = Order(1, train="rounds")
    one, _ = scenario_steps(where, dict.fromkeys(before, order), before)
    assert all(alike(before[m], kept[m]) for m in before)
    two, _ = scenario_steps(where, dict.fromkeys(before, order), before)
    assert all(alike(one[m], two[m]) for m in before)


def test_only_what_the_policies_name_leaves(synthetic: EncodedData) -> None:
    where = site(synthetic, "pf-msmtrec")
    before = members(where)
    member = Member(0, synthetic.scenarios[0])
    now, reports = scenario_steps(where, {member: Order(1, train="rounds")}, before)
    upload = reports[member].upload
    assert upload is not None
    roles = where.model.roles()
    assert {str(roles[name]) for name in upload.slots["model"]} == {"expert.scenario", "tower"}
    assert set(upload.slots) == {"model"}
    assert set(upload.tables) == {"shared_embedding"}
    assert upload.rows == len(synthetic.tables[member.scenario].splits["train"])
    table = upload.tables["shared_embedding"]
    whole = now[member].whole("model", where.deck.used[member.scenario])["shared_embedding"]
    assert torch.equal(table.rows, whole[table.ids.long()])
    assert table.ids.dtype == table.touches.dtype == torch.int32
    norm = sum(float((now[member].model[n] - before[member].model[n]).square().sum()) for n in upload.slots["model"])
    assert upload.norm == pytest.approx(norm**0.5)


def test_loading_keeps_everything_local(synthetic: EncodedData) -> None:
    where = site(synthetic)
    before = members(where)
    member = Member(0, synthetic.scenarios[0])
    trained, _ = scenario_steps(where, {member: Order(1, train="rounds")}, before)
    table = torch.full_like(before[member].slots["whole"]["shared_embedding"], 5.0)
    reply = Reply({"model": {"gate": torch.zeros_like(trained[member].model["gate"]), "shared_embedding": table}})
    loaded, _ = scenario_steps(where, {member: Order(2, reply=reply)}, {**before, **trained})
    now, then = loaded[member], trained[member]
    assert torch.equal(now.model["gate"], reply.model["gate"])
    assert now.model["shared_embedding"].unique().tolist() == [5.0]
    assert now.whole("model", where.deck.used[member.scenario])["shared_embedding"] is table
    others = [n for n in then.model if n not in reply.model]
    assert all(torch.equal(now.model[n], then.model[n]) for n in others)
    assert all(torch.equal(value, now.slots["model.m"][n]) for n, value in then.slots["model.m"].items())
    assert now.clocks == then.clocks


def test_the_best_round_is_kept_and_fine_tuning_starts_from_it(synthetic: EncodedData) -> None:
    where = replace(site(synthetic), steps=dict.fromkeys(synthetic.scenarios, 40))
    member = Member(0, synthetic.scenarios[0])
    start, _ = scenario_steps(where, {member: Order(1, train="rounds")}, members(where))
    memory = replace(start[member], clocks={})
    first, reports = scenario_steps(where, {member: Order(1, measure=1)}, {member: memory})
    assert reports[member].best[member.scenario][0] == 1
    worse = first[member].put({"model": {n: torch.zeros_like(v) for n, v in memory.model.items()}})
    second, reports = scenario_steps(where, {member: Order(2, measure=2)}, {member: worse})
    assert reports[member].best[member.scenario][0] == 1  # everything zero is chance
    order = Order(3, restart=True, train="fine-tune", measure_trained=True)
    remembered = replace(second[member], betas={"experts": (0.5,)})
    tuned, _ = scenario_steps(where, {member: order}, {member: remembered})
    slots = {name: held for name, held in memory.slots.items() if name in ("model", "whole")}
    fresh, _ = scenario_steps(where, {member: replace(order, restart=False)}, {member: replace(memory, slots=slots)})
    assert all(torch.allclose(tuned[member].model[n], value) for n, value in fresh[member].model.items())
    assert tuned[member].clocks == {"fine-tune": 40}
    assert tuned[member].betas == remembered.betas


def test_scenarios_are_measured_together_as_alone(synthetic: EncodedData) -> None:
    first = members(site(synthetic))
    trained, _ = scenario_steps(site(synthetic), {member: Order(1, train="rounds") for member in first}, first)
    orders = {member: Order(2, measure=1) for member in first}
    together, alone = (
        scenario_steps(replace(site(synthetic), stack=layout), orders, trained)[1] for layout in ("all", "off")
    )
    for member, report in together.items():
        assert [m.scenario for m in report.measured] == [member.scenario] * len(report.measured) != []
        for one, two in zip(report.measured, alone[member].measured, strict=True):
            assert (one.task, one.rows, one.positives) == (two.task, two.rows, two.positives)
            assert one.log_loss == pytest.approx(two.log_loss, abs=1e-12)
            assert one.auc == pytest.approx(two.auc, abs=1e-12)


def test_stacks_are_small_and_of_like_sizes() -> None:
    sizes = [64] * 20 + [20] * 5 + [64] * 20

    def lengths(layout: str, most: float = math.inf) -> list[int]:
        found = stacks(range(45), sizes.__getitem__, layout, most)
        assert sorted(n for stack in found for n in stack) == list(range(45))
        return [len(stack) for stack in found]

    assert lengths("auto") == [16, 16, 8, 5]
    assert lengths("auto", most=200) == [3] * 13 + [1, 5]
    assert lengths("auto", most=10) == [1] * 45  # who is larger is alone
    assert lengths("all") == [45]
    assert lengths("off") == [1] * 45


def test_messages_hold_tensors_and_plain_values_only(synthetic: EncodedData) -> None:
    where = site(synthetic, "pf-msmtrec")
    before = members(where)
    order = Order(1, train="rounds", measure_trained=True)
    _, reports = scenario_steps(where, dict.fromkeys(before, order), before)
    for report in reports.values():
        tensors, plain = pack(report)
        back = unpack(Report, tensors, plain)
        assert back.trained == report.trained
        assert back.upload is not None
        assert back.upload.norm == report.upload.norm  # type: ignore[union-attr]
    assert unpack(Order, *pack(order)) == order
