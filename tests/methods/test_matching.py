"""Experts in another order: they are averaged with what they resemble, and everybody keeps its own order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from methods.federation import Federation
from methods.helpers import COMMON, DECLARATIONS, aggregate, method, settle, upload
from methods.test_levels import BOTH, sent
from methods.test_pf_msmtrec import ALIGNED, OUT_OF_ORDER
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.methods import METHODS
from msmtrec.methods.base import Answer, Method
from msmtrec.methods.hyper import Alphas
from msmtrec.methods.matching import Orders
from msmtrec.methods.pf_state import Held, MatchedState, PFState
from msmtrec.models.settings.star import STARSettings

NAME = "expert.scenario"
EYE = torch.eye(2)
SWAP = torch.tensor([1, 0])
A, B = EYE, torch.tensor([[0.0, 3.0], [3.0, 0.0]])
KINDS = ("uniform", "held-out", "hyper")
BETAS = {"experts": (0.5,), "towers": (0.5, 0.5)}
HALF = Answer(BETAS, BETAS, BETAS, {"experts": (True,), "towers": (True, True)})


def matching(personalization: str, measure: str = "distance", **options: Any) -> Method[Any]:
    return method("pf-msmtrec", **{"alignment": measure, "personalization": personalization, **options})


def begun(m: Method[Any]) -> Any:
    """All hold two experts that are easily told apart."""
    return m.init({**{name: COMMON[name] for name in m.common_names()}, NAME: EYE}, {"a": 1, "b": 1})


def sending(m: Method[Any], **experts: Tensor) -> dict[str, Any]:
    return {name: upload(m, name, expert__scenario=value) for name, value in experts.items()}


def test_mean_by_hand() -> None:
    # b's second expert stands for the first of the consensus: (1, 0) and (3, 0) make (2, 0)
    m = matching("uniform", towers=None, coordination=None)
    outcome = aggregate(m, begun(m), sending(m, a=A, b=B))
    assert outcome.replies["a"].model[NAME].tolist() == [[2, 0], [0, 2]]
    assert outcome.replies["b"].model[NAME].tolist() == [[0, 2], [2, 0]]
    assert outcome.diagnostics["order/experts"] == {"a": [0, 1], "b": [1, 0]}
    assert torch.equal(m.last(outcome.state, "b")[NAME], outcome.replies["b"].model[NAME])
    off = matching("uniform", "off", towers=None, coordination=None)
    outcome = aggregate(off, begun(off), sending(off, a=A, b=B))
    assert outcome.replies["b"].model[NAME].tolist() == [[0.5, 1.5], [1.5, 0.5]]


def test_hyper_by_hand() -> None:
    # mean update of what stands for the first: ((0, 0) + (3, 0) - (0, 1)) / 2, for the second: (-.5, 1.5); alpha .1
    m = matching("hyper", towers=None, coordination=None, penalty=1.0)
    outcome = aggregate(m, begun(m), sending(m, a=A, b=B))
    a, b = (outcome.replies[name].model[NAME] for name in "ab")
    assert torch.allclose(a, torch.tensor([[1.15, -0.05], [-0.05, 1.15]]))
    assert torch.allclose(b, torch.tensor([[-0.05, 3.15], [3.15, -0.05]]))
    assert torch.allclose(outcome.replies["b"].slots["anchor"][NAME], 2 * EYE[SWAP])
    assert outcome.state.held["b"].alphas["experts"].given[0][NAME].tolist() == [-0.5, 1.5]
    # alpha follows the expert: only that one moves whose next update has the direction of what was added to it
    again = aggregate(m, outcome.state, sending(m, a=a, b=b + torch.tensor([[0.0, 0.0], [1.5, -0.5]])))
    assert again.diagnostics["alpha/experts"]["b"] == pytest.approx([0.1, 0.11], abs=1e-5)


def test_held_out_offers_and_mixes_in_everybodys_own_order() -> None:
    m = matching("held-out", towers=None, coordination=None, penalty=1.0)
    uploads = sending(m, a=A, b=B)
    outcome = aggregate(m, begun(m), uploads)
    offered = {name: offer.parts[0].parameters[NAME] for name, offer in outcome.offers.items()}
    assert torch.equal(offered["a"], 2 * EYE)
    assert torch.equal(offered["b"], 2 * EYE[SWAP])
    state = settle(m, outcome.state, uploads, dict.fromkeys("ab", HALF)).state
    assert m.last(state, "b")[NAME].tolist() == [[0, 2.5], [2.5, 0]]
    _, replies = m.again(state, {"b": 1})
    assert replies["b"].model[NAME].tolist() == [[0, 2.5], [2.5, 0]]
    assert replies["b"].slots["anchor"][NAME].tolist() == [[0, 2], [2, 0]]


@pytest.mark.parametrize("personalization", ["uniform", "held-out"])
def test_identical_scenarios_stay_as_they_are_in_any_order(personalization: str) -> None:
    m = matching(personalization, normalization="tensor")
    value = B + 0.1 * torch.randn(2, 2, generator=torch.Generator().manual_seed(0))
    uploads = sending(m, a=value, b=value, c=value)
    outcome = aggregate(m, begun(m), uploads)
    state = outcome.state
    if outcome.offers:
        state = settle(m, state, uploads, dict.fromkeys("abc", HALF)).state
    assert state.orders == dict.fromkeys("abc", (1, 0))
    assert all(torch.equal(m.last(state, name)[NAME], value) for name in "abc")


def moved(parameters: Mapping[str, Tensor]) -> Parameters:
    return {name: value[SWAP] if name == NAME else value for name, value in parameters.items()}


def with_b_moved(state: MatchedState) -> MatchedState:
    """The same federation, but that b numbers its experts the other way round."""
    held, order = state.held["b"], state.orders["b"]
    alphas = dict(held.alphas)
    if "experts" in alphas:
        own = alphas["experts"]
        given = {1 - unit: value for unit, value in own.given.items()}
        alphas["experts"] = Alphas(own.alpha[::-1], own.velocity[::-1], given)
    held = Held(moved(held.parameters), alphas)
    orders = {**state.orders, "b": tuple(1 - number for number in order)}
    return replace(state, held={**state.held, "b": held}, orders=orders)


@pytest.mark.parametrize("measure", ["distance", "cosine"])
@pytest.mark.parametrize("personalization", KINDS)
def test_an_order_of_ones_own_changes_nothing_for_anybody_else(personalization: str, measure: str) -> None:
    m = matching(personalization, measure, normalization="tensor", penalty=1.0, tolerance=0.0)
    generator = torch.Generator().manual_seed(3)
    one = aggregate(m, begun(m), sending(m, a=A, b=B + 0.5 * torch.randn(2, 2, generator=generator))).state
    two = with_b_moved(one)
    for _ in range(3):
        moves = {name: 2 * torch.randn(2, 2, generator=generator) for name in "ab"}
        results = []
        for state in (one, two):
            new = {name: m.last(state, name)[NAME] + moves[name] for name in "ab"}
            if state is two:
                new["b"] = m.last(state, "b")[NAME] + moves["b"][SWAP]
            uploads = sending(m, **new)
            outcome = aggregate(m, state, uploads)
            if outcome.offers:
                outcome = replace(outcome, state=settle(m, outcome.state, uploads, dict.fromkeys("ab", HALF)).state)
            results.append(outcome)
        one, two = (found.state for found in results)
        assert torch.equal(one.consensus[NAME], two.consensus[NAME])
        assert torch.equal(m.last(one, "a")[NAME], m.last(two, "a")[NAME])
        assert torch.equal(m.last(one, "b")[NAME][SWAP], m.last(two, "b")[NAME])
        for slot, held in results[0].replies["b"].slots.items():
            for name, value in moved(held).items():
                assert torch.equal(value, results[1].replies["b"].slots[slot][name]), (slot, name)
        if personalization == "hyper":
            own, other = (state.held["b"].alphas["experts"] for state in (one, two))
            assert own.alpha == other.alpha[::-1]
            assert own.velocity == other.velocity[::-1]


def test_who_comes_and_who_comes_back() -> None:
    """A newcomer begins in the order of the consensus; who was too long away has its gates in its own."""
    m = matching("uniform", towers=None, coordination=None)
    state = aggregate(m, begun(m), sending(m, a=A, b=B)).state
    assert m.welcome(state, "new")[1].model[NAME].tolist() == [[2, 0], [0, 2]]
    assert m.welcome(state, "b")[1].model[NAME].tolist() == [[0, 2], [2, 0]]
    hyper = matching("hyper", towers=None, coordination=None, alpha=0.0)
    state = aggregate(hyper, begun(hyper), sending(hyper, a=A, b=B)).state
    assert hyper.welcome(state, "new")[1].model[NAME].tolist() == [[2, 0], [0, 2]]  # the mean of a's and b's


def test_levels_are_matched_apart() -> None:
    orders, own = Orders(BOTH), sent(0)["a"]
    before = (1, 0, 2, 0, 1)
    there = orders.common(own, before)
    assert torch.equal(there["low.bias"], own["low.bias"][[1, 0]])
    assert torch.equal(there["high.weight"], own["high.weight"][[2, 0, 1]])
    assert all(torch.equal(value, own[name]) for name, value in orders.own(there, before).items())
    assert orders.match(own, there, (), "distance") == before
    assert orders.own_units({0: "p", 3: "q", 4: "r"}, before) == {1: "p", 2: "q", 3: "r"}
    assert orders.common(own, ())["low.bias"] is own["low.bias"]
    low = {**own, "low.weight": own["low.weight"][[1, 0]], "low.bias": own["low.bias"][[1, 0]]}
    assert orders.match(low, own, (), "cosine") == (1, 0, 0, 1, 2)


def test_off_is_as_it_was() -> None:
    m = method("pf-msmtrec")
    assert m.state_type is PFState
    assert type(begun(m)) is PFState
    assert "order/experts" not in aggregate(m, begun(m), sending(m, a=A, b=B)).diagnostics


def test_with_one_expert_there_is_no_order(synthetic) -> None:  # type: ignore[no-untyped-def]
    settings = METHODS["pf-msmtrec"].settings(alignment="cosine")
    (sentence,) = settings.build(STARSettings().build(synthetic.layout).declare()).cautions(3)
    assert sentence.startswith("alignment has no effect: ")
    assert list(settings.build(DECLARATIONS).cautions(3)) == []


@pytest.mark.parametrize("personalization", KINDS)
def test_a_scenario_with_its_experts_and_gates_in_another_order_trains_as_before(personalization: str) -> None:
    """In a federation of whole networks: factors, the gates' columns and Adam's moments in another order together."""
    case = replace(OUT_OF_ORDER, options={**OUT_OF_ORDER.options, **ALIGNED, "personalization": personalization})
    one, two = Federation(case, 1).run(), Federation(case, 1).run()
    order = torch.tensor([2, 0, 1, 5, 3, 4])
    member, axis = Member(0, "scenario-1"), {d.name: 0 for d in one.method.experts} | {"gate": 2}  # type: ignore[attr-defined]

    def turned(held: Mapping[str, Tensor]) -> Parameters:
        return {name: value.index_select(axis[name], order) if name in axis else value for name, value in held.items()}

    memory = two.runtime.memories[member]
    two.runtime.memories[member] = replace(memory, slots={slot: turned(held) for slot, held in memory.slots.items()})
    server = two.standing.servers[0]
    state: MatchedState = server.method
    held = state.held["scenario-1"]
    alphas = dict(held.alphas)
    if "experts" in alphas:
        own = alphas["experts"]
        alpha, velocity = (tuple(values[place] for place in order) for values in (own.alpha, own.velocity))
        given = {int(order.argsort()[unit]): value for unit, value in own.given.items()}
        alphas["experts"] = Alphas(alpha, velocity, given)
    orders = {**state.orders, "scenario-1": tuple(order.argsort()[list(state.orders["scenario-1"])].tolist())}
    new = replace(state, held={**state.held, "scenario-1": Held(turned(held.parameters), alphas)}, orders=orders)
    two.standing.servers[0] = replace(server, method=new)
    for found in (one, two):
        found.plan = replace(found.plan, rounds=3)
        found.run()
    for other, memory in one.runtime.memories.items():
        expected = turned(memory.model) if other == member else memory.model
        for name, value in expected.items():
            assert torch.allclose(value, two.runtime.memories[other].model[name], atol=1e-9), (other, name)
    assert not torch.equal(turned(memory.model)["gate"], memory.model["gate"])
