"""FedHCA²: all properties, two scenarios by hand over two rounds, and hyper-weights that move before they weigh."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from methods.federation import Case
from methods.helpers import COMMON, DECLARATIONS, aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.aggregation.attention import attended
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.methods import METHODS
from msmtrec.methods.base import Outcome
from msmtrec.methods.fedhca2 import BODY

CHANGES = {"coordination": 1.0, "alpha": 0.5, "beta": 0.5, "hyper_rate": 0.5, "embeddings": "local"}
CASE = Case("fedhca2", {"embeddings": "shared"}, CHANGES, identity=False)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def both(m: Any, state: Any, name: str, a: Any, b: Any, *, lacks: str = "") -> Outcome[Any]:
    """A round in which two scenarios send this of one parameter; who lacks the second task."""
    values = {"a": torch.as_tensor(a).expand(2, 2).clone(), "b": torch.as_tensor(b).expand(2, 2).clone()}
    sent = {n: upload(m, n, tasks=(True, n != lacks), **{name: value}) for n, value in values.items()}
    return aggregate(m, state, sent)


def body(found: Outcome[Any], name: str) -> float:
    (value,) = found.replies[name].model["expert.scenario"].unique().tolist()
    return float(value)


def test_the_body_by_hand() -> None:
    """Updates 3 and -1 of all numbers: their mean is 1, what serves the worse best within .4 of it .6; U = .6/1.16."""
    m = method("fedhca2", alpha=0.1)
    found = both(m, start(m), "expert__scenario", 3.0, -1.0)
    assert body(found, "a") == pytest.approx(3 + 0.1 * 0.6 / 1.16)
    assert body(found, "b") == pytest.approx(-1 + 0.1 * 0.6 / 1.16)
    assert found.replies["a"].model["expert.local"].tolist() == [1.0, 1.0]  # did not move


def test_alpha_moves_by_what_the_addition_did_before_it_weighs_the_next() -> None:
    """Round 1: U = 1.4/1.16 u, u all of ones, given to both. Round 2: a goes on by 2, b back by 1 from what they hold.

    <Delta, U> is 4 · 2 · U and -4 U; alpha falls by .01 (-<Delta, U> + 1e-4 alpha), and then weighs round 2's U.
    """
    m = method("fedhca2", alpha=0.1)
    first = both(m, start(m), "expert__scenario", 1.0, 1.0)
    U = 1.4 / 1.16
    held = body(first, "a")
    assert held == pytest.approx(1 + 0.1 * U)
    second = both(m, first.state, "expert__scenario", held + 2, held - 1)
    alpha = {n: 0.1 - 0.01 * (-4 * moved * U + 1e-4 * 0.1) for n, moved in (("a", 2), ("b", -1))}
    assert second.diagnostics["alpha"] == pytest.approx(alpha)
    again = 0.3 / 1.16  # mean .5, at most .2 from it
    for n, moved in (("a", 2), ("b", -1)):
        assert body(second, n) == pytest.approx(held + moved + alpha[n] * again)
    third = both(m, second.state, "expert__scenario", body(second, "a") + 1, body(second, "b"))
    velocity = 0.9 * (-8 * U + 1e-5) - 4 * again + 1e-4 * alpha["a"]
    assert third.diagnostics["alpha"]["a"] == pytest.approx(alpha["a"] - 0.01 * velocity)


def test_heads_attend_to_each_other_by_hand() -> None:
    """Two tasks of two scenarios: towers moved by (2, 0), (0, 0), (0, 1), (0, 0); d is 2."""
    m = method("fedhca2", beta=0.25)
    a, b = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    found = both(m, start(m), "tower", a, b)
    most, some = math.exp(4 / math.sqrt(2)), math.exp(1 / math.sqrt(2))
    wanted = {
        "a": [[2 + 0.25 * 2 * most / (most + 3), 0.25 / (most + 3)], [0.25 * 2 / 4, 0.25 * 1 / 4]],
        "b": [[0.25 * 2 / (some + 3), 1 + 0.25 * some / (some + 3)], [0.25 * 2 / 4, 0.25 * 1 / 4]],
    }
    for n, value in wanted.items():
        assert torch.allclose(found.replies[n].model["tower"], torch.tensor(value)), n


def test_beta_moves_for_each_decoder_by_itself() -> None:
    """Of tower a/0 alone: what was added to it is known from round 1; the next update goes along with it."""
    m = method("fedhca2", beta=0.25)
    moved = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    first = both(m, start(m), "tower", moved, torch.zeros(2, 2))
    held = {n: first.replies[n].model["tower"] for n in "ab"}
    added = first.state.held["a"].weights["tower/0"].given["tower"]
    second = both(m, first.state, "tower", held["a"] + torch.tensor([[1.0, 0.0], [0.0, 0.0]]), held["b"])
    beta = {key: weight.weight for key, weight in second.state.held["a"].weights.items()}
    assert beta["tower/0"] == pytest.approx(0.25 - 0.01 * (-float(added[0]) + 1e-4 * 0.25))
    assert beta["tower/1"] == pytest.approx(0.25 - 0.01 * 1e-4 * 0.25)
    assert beta[BODY] == pytest.approx(0.1 - 0.01 * 1e-4 * 0.1)


def test_alone_nothing_is_added_and_weights_stand_still() -> None:
    m = method("fedhca2")
    state = aggregate(m, start(m), {"a": upload(m, "a", tower=torch.ones(2, 2))}).state
    found = aggregate(m, state, {"a": upload(m, "a", tower=torch.full((2, 2), 3.0))})
    assert found.replies["a"].model["tower"].unique().tolist() == [3.0]
    assert {w.weight for w in found.state.held["a"].weights.values()} == {0.1}


def test_weights_move_once_by_what_was_added_and_not_again_where_nothing_was() -> None:
    """Both, then a alone twice: its second update follows an addition, its third follows none."""
    m = method("fedhca2")
    found, moved = both(m, start(m), "expert__scenario", 1.0, 1.0), []
    for _ in range(2):
        sent = upload(m, "a", expert__scenario=found.replies["a"].model["expert.scenario"] + 1)
        found = aggregate(m, found.state, {"a": sent})
        moved.append(found.diagnostics["alpha"]["a"])
    assert moved[0] > 0.11
    assert moved[1] == moved[0]


def test_a_task_that_a_scenario_lacks_is_the_others_and_nobody_listens_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    factor = Declaration("factor", Role.EXPERT_TASK, (2, 2), "ones", unit_axis="task")
    monkeypatch.setitem(COMMON, "factor", torch.zeros(2, 2))
    m = METHODS["fedhca2"].settings().build((*DECLARATIONS, factor))
    for name in ("tower", "factor"):
        sent = [torch.tensor([[5.0, 5.0], [v, v]]) for v in (0.0, 100.0)]
        one, two = (both(m, start(m), name, 1.0, value, lacks="b") for value in sent)
        for n in "ab":
            assert torch.equal(one.replies[n].model[name], two.replies[n].model[name])
        assert torch.equal(one.replies["b"].model[name][1], one.replies["a"].model[name][1])
        assert not torch.equal(one.replies["b"].model[name][0], one.replies["a"].model[name][0])
    three = attended([torch.ones(2), torch.ones(2), torch.full((2,), 5.0)], [torch.zeros(2)] * 3)  # not four
    found = both(m, start(m), "tower", 1.0, torch.tensor([[5.0, 5.0], [9.0, 9.0]]), lacks="b")
    assert torch.allclose(found.replies["a"].model["tower"][1], 1 + 0.1 * three[1])


def test_who_is_new_gets_the_mean_of_the_others_and_who_was_there_what_it_held() -> None:
    m = method("fedhca2", embeddings="shared", alpha=0, beta=0)
    state = both(m, start(m), "expert__scenario", 2.0, 4.0).state
    state, replies = m.again(state, {"a": 1, "new": 1})
    assert [replies[n].model["expert.scenario"].unique().tolist() for n in ("a", "new")] == [[2.0], [3.0]]
    assert m.last(state, "new")["expert.scenario"].unique().tolist() == [3.0]
    assert m.refresh(state).model.keys() == {"shared_embedding"}


def test_degenerate_settings_are_said() -> None:
    settings = METHODS["fedhca2"].settings
    assert [s[:14] for s in settings(coordination=0).cautions()] == ["coordination 0"]
    (still,) = settings(hyper_rate=0, alpha=0, beta=0).cautions()
    assert still.endswith("this is local training")
    assert not list(settings().cautions())
