"""item-mix: all properties, the server's tables and one id's mixture by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from methods.federation import Case, Federation
from methods.helpers import DECLARATIONS, aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods import METHODS
from msmtrec.methods.base import TableRows
from msmtrec.methods.item_mix import ADAPTER, COMMON, MERGE, first_adapter, merged, similarities
from msmtrec.methods.phases import LocalRound

CASE = Case("item-mix", {}, {"similarity": 0.2, "adapter_rate": 20.0}, adopts=False)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def table(*values: float) -> Tensor:
    return torch.tensor(values).unsqueeze(1)


def sent(m: Any, **scenarios: tuple[int, tuple[int, ...], tuple[float, ...]]) -> dict[str, Any]:
    """scenario -> (rows, touches, its table)."""
    return {
        name: upload(m, name, rows=rows, touches=touches, shared_embedding=table(*values))
        for name, (rows, touches, values) in scenarios.items()
    }


def test_two_scenarios_by_hand() -> None:
    """Ids 0 and 1 are used by both, with opposite signs: their cosine counts as 0. Rows are 3 : 1, so p + .6 s is
    (1.35, .25) for a, nearest to which is (1, 0), and (.75, .85) for b, nearest to which is (.45, .55)."""
    m = method("item-mix", similarity=0.6)
    uploads = sent(m, a=(3, (1, 1, 0), (1.0, -1.0, 9.0)), b=(1, (3, 1, 2), (-4.0, 6.0, 4.0)))
    found = aggregate(m, start(m), uploads)
    assert found.diagnostics["own_weight"] == pytest.approx({"a": 1.0, "b": 0.55})
    one, two = (found.replies[n].slots[COMMON]["shared_embedding"].flatten().tolist() for n in "ab")
    assert one == pytest.approx([1.0, -1.0, 4.0])  # id 2, which a has not used, is the mean of those who have
    by = (0.45 * 1, 0.55 * 3, 0.55 * 1)
    assert two == pytest.approx([(by[0] - 4 * by[1]) / (by[0] + by[1]), (-by[0] + 6 * by[2]) / (by[0] + by[2]), 4.0])
    assert "model" not in found.replies["a"].slots
    assert m.refresh(found.state).slots[COMMON]["shared_embedding"].flatten().tolist() == [-2.75, 2.5, 4.0]


def test_similarity_is_of_what_both_have_used() -> None:
    rows = [
        TableRows(torch.tensor([0, 2, 5]), torch.ones(3), table(1, 3, 5)),  # less their mean -2, 0, 2
        TableRows(torch.tensor([2, 5, 7]), torch.ones(3), table(2, 6, 1)),  # less their mean -1, 3, -2
        TableRows(torch.tensor([9]), torch.ones(1), table(1)),
        TableRows(torch.tensor([], dtype=torch.int64), torch.ones(0), torch.ones(0, 1)),
    ]
    found = similarities([{"t": one} for one in rows])
    wanted = torch.eye(4, dtype=torch.float64)
    wanted[0, 1] = wanted[1, 0] = 2 * 3 / (2 * math.sqrt(10))
    assert torch.allclose(found, wanted)


def test_one_id_by_hand() -> None:
    """Own 2, common 5: relu(.5 · 2 + 1 · 3 - 1) = 3, relu(3 · 1/3) = 1, g = sigmoid(ln 3) = .75."""
    weights = [list(v.shape) for n, v in first_adapter("t", torch.zeros(9, 16)).items() if n.endswith("weight")]
    assert weights == [[32, 16], [16, 8], [8, 1]]
    adapter = {
        "t/0.weight": torch.tensor([[[0.5], [1.0]]]),
        "t/0.bias": torch.tensor([[-1.0]]),
        "t/1.weight": torch.tensor([[[1 / 3]]]),
        "t/1.bias": torch.tensor([[0.0]]),
        "t/2.weight": torch.tensor([[[math.log(3)]]]),
        "t/2.bias": torch.tensor([[0.0]]),
    }
    assert merged(table(2.0), table(5.0), "t", adapter, 0).tolist() == [[pytest.approx(2 + 0.75 * 3)]]


def test_members_of_a_stack_have_tables_and_adapters_of_their_own() -> None:
    """What comes is merged in place of e_own, in one stack as one by one; training then moves adapter and e_own."""
    found = Federation(CASE, 1)
    memories = {}
    for place, (member, memory) in enumerate(found.runtime.memories.items()):
        common = {n: v + 0.1 + place for n, v in memory.slots[COMMON].items()}
        adapter = {n: v * (1 + place) for n, v in memory.slots[ADAPTER].items()}
        memories[member] = memory.put({COMMON: common, ADAPTER: adapter})
    (merge,) = found.method.adapt(LocalRound(1, 0.01))
    jobs = [Job(m, memory, memory, 32, steps=2) for m, memory in memories.items()]
    after = run_phase(found.site.model, merge, jobs, found.site.deck)
    (local,) = found.method.local(LocalRound(2, 0.01, done=frozenset({MERGE})))
    trained = run_phase(found.site.model, local, jobs, found.site.deck)
    for member, memory in memories.items():
        (name,) = found.method.tables
        one = {n: v.unsqueeze(0) for n, v in memory.slots[ADAPTER].items()}
        wanted = merged(memory.model[name], memory.slots[COMMON][name], name, one, 0)
        assert torch.allclose(after[member].memory.model[name], wanted)
        new = trained[member].memory
        assert all(not torch.equal(new.slots[ADAPTER][n], v) for n, v in memory.slots[ADAPTER].items())
        assert not torch.equal(new.model[name], memory.model[name])
        assert torch.equal(new.slots[COMMON][name], memory.slots[COMMON][name])


def test_before_anything_has_come_it_is_plain_training() -> None:
    ours, theirs = (Federation(case, 1) for case in (CASE, Case("emb-only")))
    for found in (ours, theirs):
        found.plan = replace(found.plan, rounds=1)
        found.run()
    one, two = (found.standing.servers[0].method for found in (ours, theirs))
    assert torch.equal(one.means["shared_embedding"], two.parameters["shared_embedding"])


def test_ids_that_a_scenario_has_no_row_of_are_served_as_they_came() -> None:
    found = Federation(CASE, 2).run()
    for member, memory in found.runtime.memories.items():
        used = found.site.deck.used[member.scenario]
        served = memory.whole("model", used)["shared_embedding"]
        unused = torch.ones(len(served), dtype=torch.bool)
        unused[used] = False
        assert torch.equal(served[unused], memory.slots["whole"]["shared_embedding"][unused])
        assert not torch.equal(served[used], memory.slots["whole"]["shared_embedding"][used])


def test_who_is_new_begins_with_the_means() -> None:
    m = method("item-mix")
    state = aggregate(m, start(m), sent(m, a=(1, (1, 1, 0), (2.0, 4.0, 9.0)))).state
    state, replies = m.again(state, {"a": 1, "new": 1})
    for slot in (COMMON, "model"):
        assert replies["new"].slots[slot]["shared_embedding"].flatten().tolist() == [2.0, 4.0, 0.0]
    assert replies["a"].slots.keys() == {COMMON}
    assert state.met == {"a", "new"}


def test_nothing_to_mix_is_said() -> None:
    settings = METHODS["item-mix"].settings()
    m = settings.build(tuple(d for d in DECLARATIONS if d.name != "shared_embedding"))
    assert [s[:28] for s in m.cautions(3)] == ["no field is declared shared,"]
    assert not aggregate(m, start(m), {"a": upload(m, "a"), "b": upload(m, "b")}).replies
    assert not m.begin({})
    assert [phase.also for phase in m.local(LocalRound(2, 0.1, done=frozenset({MERGE})))] == [()]
    assert not list(settings.build(DECLARATIONS).cautions(3))
    assert [s[:12] for s in METHODS["item-mix"].settings(similarity=0).cautions()] == ["similarity 0"]
