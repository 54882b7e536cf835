"""Behind a linear head what nothing has trained serves the head alone, and training begins with outputs as drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from federation.test_offset import started
from federation.test_scenario import members, site
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.data.table import EncodedData
from msmtrec.federation.memory import Memory, Shipment
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.scenario import scenario_steps
from msmtrec.federation.site import Site
from msmtrec.methods.base import Reply

OUT = "tower.0.weight"


@pytest.fixture
def where(synthetic: EncodedData) -> Site:
    """All rows begin with the same logits, so that the head alone is chance."""
    return replace(site(started(synthetic, np.array([0.7, -1.3], np.float32))), has_head=True)


def one(where: Site) -> tuple[Member, Memory]:
    return next(iter(members(where).items()))


def done(where: Site, member: Member, memory: Memory, order: Order) -> tuple[Memory, Report]:
    after, reports = scenario_steps(where, {member: order}, {member: memory})
    return after[member], reports[member]


def auc(report: Report) -> list[float]:
    return [measure.auc for measure in report.measured]


def best(memory: Memory) -> Parameters:
    (found,) = memory.best.values()
    return found.parameters


def test_the_outputs_are_those_that_were_drawn(where: Site) -> None:
    member, before = one(where)
    assert where.drawn(member.seed).keys() == {OUT}
    assert torch.equal(where.drawn(member.seed)[OUT], before.model[OUT])
    assert replace(where, has_head=False).drawn(member.seed) == {}


@pytest.mark.parametrize("number", [0, 3])
def test_before_training_the_head_alone_is_measured_and_kept(where: Site, number: int) -> None:
    """Also of a scenario that missed the rounds before."""
    member, before = one(where)
    after, report = done(where, member, before, Order(number + 1, measure=number))
    assert auc(report) == [0.5, 0.5]
    assert not best(after)[OUT].any()
    assert torch.equal(best(after)["gate"], before.model["gate"])
    assert torch.equal(after.model[OUT], before.model[OUT])
    loud, report = done(replace(where, has_head=False), member, before, Order(number + 1, measure=number))
    assert auc(report) != [0.5, 0.5]
    assert best(loud)[OUT].any()


def test_training_begins_with_what_was_drawn(where: Site) -> None:
    member, before = one(where)
    order = Order(1, measure=0, train="rounds")
    trained, report = done(where, member, before, order)
    plain, sent = done(replace(where, has_head=False), member, before, order)
    assert torch.equal(trained.model[OUT], plain.model[OUT])
    assert report.upload is not None
    assert sent.upload is not None
    assert report.upload.norm == sent.upload.norm
    _, report = done(where, member, trained, Order(2, measure=1))
    _, sent = done(replace(where, has_head=False), member, plain, Order(2, measure=1))
    assert auc(report) == auc(sent) != [0.5, 0.5]


def test_outputs_that_a_reply_brings_are_trained_unless_they_are_those_that_were_drawn(where: Site) -> None:
    """Means of what is the same may differ in the last digits."""
    member, before = one(where)
    for factor, alone in ((1 + 1e-7, True), (1.01, False)):
        reply = Reply({"model": {OUT: factor * before.model[OUT]}})
        _, report = done(where, member, before, Order(1, reply=reply, measure=0))
        assert (auc(report) == [0.5, 0.5]) is alone


def test_fine_tuning_begins_with_drawn_outputs_only_where_none_were_trained(where: Site) -> None:
    member, before = one(where)
    kept, _ = done(where, member, before, Order(1, measure=0))
    again, _ = done(where, member, kept, Order(2, restart=True))
    assert torch.equal(again.model[OUT], before.model[OUT])
    reply = Reply({"model": {OUT: 3 * before.model[OUT]}})
    kept, _ = done(where, member, before, Order(1, reply=reply, measure=0))  # as a newcomer is welcomed
    again, _ = done(where, member, kept, Order(2, restart=True))
    assert torch.equal(again.model[OUT], reply.model[OUT])


@pytest.mark.parametrize("trained", [True, False])
def test_where_a_head_alone_was_served_training_goes_on_with_drawn_outputs(where: Site, trained: bool) -> None:
    """As `continue` begins, with what a finished run served: behind outputs of zero a network may die."""
    member, before = one(where)
    name = member.scenario
    own = where.model.initialise(0, name, where.data.tables[name].private_rows, torch.float64)
    served = own | {OUT: torch.full_like(own[OUT], 0.5 if trained else 0.0)}
    begun = where.begin(member, served, Shipment(where.deck.device))
    assert torch.equal(begun.model[OUT], served[OUT] if trained else before.model[OUT])
    assert torch.equal(begun.model["gate"], before.model["gate"])
    plain = replace(where, has_head=False).begin(member, served, Shipment(where.deck.device))
    assert torch.equal(plain.model[OUT], served[OUT])
