"""Behind a linear head round 0 measures the head alone, and training begins with outputs as they were drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from federation.test_offset import started
from federation.test_scenario import members, site
from msmtrec.base.member import Member
from msmtrec.data.table import EncodedData
from msmtrec.experiment.joining import _welcome
from msmtrec.experiment.sites import outputs
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order
from msmtrec.federation.scenario import scenario_steps
from msmtrec.federation.server import begin
from msmtrec.federation.site import Site
from msmtrec.federation.standing import Kept

NAMES = ("tower.0.weight",)


@pytest.fixture
def where(synthetic: EncodedData) -> Site:
    """Rows of whose logits every one is the same, less what the network adds."""
    found = site(started(synthetic, torch.tensor([0.7, -1.3]).numpy()))
    assert outputs(found.model) == NAMES
    return replace(found, silent=NAMES)


def one(where: Site) -> tuple[Member, Memory]:
    return next(iter(members(where).items()))


def test_round_0_is_the_head_alone_and_nothing_is_lost_of_what_was_drawn(where: Site) -> None:
    member, before = one(where)
    after, reports = scenario_steps(where, {member: Order(1, measure=0)}, {member: before})
    assert [measure.auc for measure in reports[member].measured] == [0.5, 0.5]  # all rows alike
    loud, reports = scenario_steps(replace(where, silent=()), {member: Order(1, measure=0)}, {member: before})
    assert [measure.auc for measure in reports[member].measured] != [0.5, 0.5]
    assert torch.equal(after[member].model[NAMES[0]], before.model[NAMES[0]])
    (best,) = after[member].best.values()
    assert not best.parameters[NAMES[0]].any()
    assert torch.equal(best.parameters["gate"], before.model["gate"])
    (other,) = loud[member].best.values()
    assert other.parameters[NAMES[0]].any()


def test_training_begins_with_what_was_drawn(where: Site) -> None:
    member, before = one(where)
    order = Order(1, measure=0, train="rounds")
    trained, reports = scenario_steps(where, {member: order}, {member: before})
    plain, sent = scenario_steps(replace(where, silent=()), {member: order}, {member: before})
    assert torch.equal(trained[member].model[NAMES[0]], plain[member].model[NAMES[0]])
    assert reports[member].upload is not None
    assert sent[member].upload is not None
    assert reports[member].upload.norm == sent[member].upload.norm


@pytest.mark.parametrize("number", [0, 1])
def test_fine_tuning_from_round_0_draws_the_outputs_again(where: Site, number: int) -> None:
    """Of a later round it takes what that had learned, whatever it is."""
    member, before = one(where)
    kept, _ = scenario_steps(where, {member: Order(1, measure=0)}, {member: before})
    (best,) = kept[member].best.values()
    memory = replace(kept[member], best={member.scenario: replace(best, round=number)})
    again, _ = scenario_steps(where, {member: Order(2, restart=True)}, {member: memory})
    expected = before.model[NAMES[0]] if number == 0 else torch.zeros_like(before.model[NAMES[0]])
    assert torch.equal(again[member].model[NAMES[0]], expected)


def test_only_round_0_is_silent(where: Site) -> None:
    member, before = one(where)
    _, reports = scenario_steps(where, {member: Order(2, measure=1)}, {member: before})
    _, others = scenario_steps(replace(where, silent=()), {member: Order(2, measure=1)}, {member: before})
    assert [m.auc for m in reports[member].measured] == [m.auc for m in others[member].measured]
    assert [m.auc for m in reports[member].measured] != [0.5, 0.5]


@pytest.mark.parametrize("number", [0, 3])
def test_a_newcomer_is_silent_where_nothing_was_trained_and_only_there(where: Site, number: int) -> None:
    member, before = one(where)
    first = where.model.initialise(0, "", 0, torch.float64)
    server = begin(where.method, {name: first[name] for name in where.method.common_names()}, {"x": 1})
    reply = _welcome(where, Kept(number, 0.5, server), member.scenario)
    assert (NAMES[0] in reply.model) is (number > 0)
    assert "expert.0.weight.scenario" in reply.model
    _, reports = scenario_steps(where, {member: Order(1, reply=reply, measure=0)}, {member: before})
    assert ([measure.auc for measure in reports[member].measured] == [0.5, 0.5]) is (number == 0)
