"""What methods with own mixtures share: tasks that somebody lacks, slices that belong to one scenario, newcomers."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import DECLARATIONS, aggregate, method, start, upload
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Policy, Role
from msmtrec.federation.server import ServerState, catch_up
from msmtrec.methods import METHODS
from msmtrec.methods.mixing import Mixing, mix
from msmtrec.models.settings.star import STARSettings

NAMES = [name for name in METHODS if not METHODS[name].pooled and isinstance(method(name), Mixing)]


def body(value: float) -> dict[str, torch.Tensor]:
    return {"expert__scenario": torch.full((2, 2), value)}


def test_a_mixture_is_a_weighed_sum_and_exact_where_all_are_equal() -> None:
    values = [torch.full((2, 3), v) for v in (1.0, 3.0, 8.0)]
    weights = torch.tensor([[0.5, 0.5, 0.0], [2.0, -1.0, 0.0]], dtype=torch.float64)
    one, two = mix(weights, {"w": values}, {"w": torch.full((2, 3), 4.0)})
    assert one["w"].unique().tolist() == [2.0]  # (1 + 3) / 2
    assert two["w"].unique().tolist() == [-1.0]  # 2 · 1 - 3
    odd = torch.full((5,), 0.1)
    assert all(torch.equal(own["w"], odd) for own in mix(weights, {"w": [odd] * 3}, {"w": odd}))


@pytest.mark.parametrize("name", NAMES)
def test_row_counts_never_weigh(name: str) -> None:
    m, found = method(name), []
    for rows in (1, 1000):
        sent = {"a": upload(m, "a", rows=rows, **body(1.0)), "b": upload(m, "b", **body(2.0)), "c": upload(m, "c")}
        found.append(aggregate(m, start(m), sent).replies["c"].slots[m.into]["expert.scenario"])
    assert torch.equal(*found)


@pytest.mark.parametrize("name", NAMES)
def test_who_is_new_gets_the_means_and_who_was_there_keeps_its_own(name: str) -> None:
    m = method(name, embeddings="shared")
    sent = {n: upload(m, n, **body(v)) for n, v in (("a", 1.0), ("b", 2.0), ("c", 6.0))}
    state = aggregate(m, start(m), sent).state
    state, replies = m.again(state, {"a": 5, "new": 5})
    assert replies["new"].model["expert.scenario"].unique().tolist() == [3.0]
    assert replies["new"].slots[m.into]["expert.scenario"].unique().tolist() == [3.0]
    assert replies["a"].model.keys() == {"shared_embedding"} == m.refresh(state).model.keys()
    assert state.met == {"a", "b", "c", "new"}
    later, _ = catch_up(m, ServerState(state, {"b": 1}), "b", 50)
    assert later.held == {"b": 49 if m.policy is Policy.COLLECT else 1}  # what takes the model's place ages


@pytest.mark.parametrize("name", [name for name in NAMES if "tower" in method(name).network()])
def test_a_task_that_a_scenario_lacks_counts_there_as_the_others_mean(name: str) -> None:
    """What it sends of that task changes nothing for anybody; its own mixture has what the others trained."""
    m = method(name)

    def replies(spoiled: float) -> dict[str, torch.Tensor]:
        slots = {}
        for n, v in (("a", 1.0), ("b", 3.0), ("c", spoiled)):
            tower = torch.tensor([[1.0, 1.0], [v, v]])
            slots[n] = {slot: {"tower": tower + (slot != "model")} for slot in m.leaving_slots()}
        sent = {n: upload(m, n, tasks=(True, n != "c"), slots=held) for n, held in slots.items()}
        return {n: r.slots[m.into]["tower"] for n, r in aggregate(m, start(m), sent).replies.items()}

    one, two = replies(0.0), replies(100.0)
    assert all(torch.equal(one[n], two[n]) for n in "abc")
    assert bool(((one["c"][1] >= 1) & (one["c"][1] <= 3)).all())
    nobody = {n: upload(m, n, tasks=(True, False), tower=torch.full((2, 2), 9.0)) for n in "ab"}
    for reply in aggregate(m, start(m), nobody).replies.values():
        assert reply.slots[m.into]["tower"][1].tolist() == [0.0, 0.0]  # as the first parameters have it


@pytest.mark.parametrize("name", NAMES)
def test_what_belongs_to_one_scenario_never_leaves_it(name: str) -> None:
    own = Declaration("own", Role.EXPERT_SCENARIO, (2, 2), "zeros", owners=("a", "b"))
    m = METHODS[name].settings().build((*DECLARATIONS, own))
    assert "own" not in m.common_names()
    found = Federation(Case(name, rate=0.05), 2, network=STARSettings(embedding_dim=3, layers=(5,))).run()
    for number, memory in enumerate(found.runtime.memories.values()):
        rows = memory.model["norm.own.scale"]
        moved = [bool((row != 1).any()) for row in rows]
        assert moved == [place == number for place in range(3)]
