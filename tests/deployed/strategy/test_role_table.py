"""Tables of roles: every name exactly once, units where they belong, and the way back to the state_dict."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from msmtrec.deployed.strategy.role_table import role_table
from msmtrec.deployed.strategy.stacked import join, split

TASKS = ("click", "like")
MMOE = {
    "users.weight": "shared-embedding",
    "goods.weight": "embedding",
    "experts.{expert}.*": "expert.scenario",
    "gates.{task}.*": "gate",
    "towers.{task}.*": "tower",
    "norm.weight": "norm.affine",
    "norm.bias": "norm.affine",
    "norm.*running_*": "norm.statistics",
    "norm.num_batches_tracked": "norm.statistics",
}


def mmoe() -> nn.ModuleDict:
    torch.manual_seed(0)
    parts: dict[str, nn.Module] = {
        "users": nn.Embedding(6, 3),
        "goods": nn.Embedding(4, 3),
        "experts": nn.ModuleList(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)) for _ in range(11)),
        "gates": nn.ModuleDict({task: nn.Linear(3, 11) for task in reversed(TASKS)}),
        "towers": nn.ModuleDict({task: nn.Linear(2, 1) for task in reversed(TASKS)}),
        "norm": nn.BatchNorm1d(3),
    }
    return nn.ModuleDict(parts)


def test_an_mmoe() -> None:
    state = mmoe().state_dict()
    table = role_table(state, MMOE, TASKS)
    found = {d.name: d for d in table.declarations}
    assert list(found) == [
        *("users.weight", "goods.weight", "experts.{expert}.0.weight", "experts.{expert}.0.bias"),
        *("experts.{expert}.2.weight", "experts.{expert}.2.bias", "gates.{task}.weight", "gates.{task}.bias"),
        *("towers.{task}.weight", "towers.{task}.bias", "norm.weight", "norm.bias"),
        *("norm.running_mean", "norm.running_var", "norm.num_batches_tracked"),
    ]
    scenario = Declaration(
        "experts.{expert}.0.weight", Role.EXPERT_SCENARIO, (11, 3, 5), "zeros", unit_axis="expert", level=2
    )
    assert found["experts.{expert}.0.weight"] == scenario
    assert found["towers.{task}.bias"] == Declaration(
        "towers.{task}.bias", Role.TOWER, (2, 1), "zeros", unit_axis="task"
    )
    assert found["gates.{task}.weight"].unit_axis == "task"
    assert found["norm.num_batches_tracked"].shape == ()
    first = table.first
    for number in range(11):  # 10 comes after 9; outputs are last, as in our own networks
        assert torch.equal(first["experts.{expert}.0.weight"][number], state[f"experts.{number}.0.weight"].T)
    for number, task in enumerate(TASKS):  # in the order of the tasks
        assert torch.equal(first["towers.{task}.weight"][number], state[f"towers.{task}.weight"])


def test_there_and_back() -> None:
    state = {**mmoe().state_dict(), "conv": torch.randn(4, 3, 2), "scale": torch.randn(())}
    roles = {**MMOE, "conv": "expert.scenario", "scale": "average"}
    table = role_table(state, roles, TASKS)
    joined = join(table.stacked, state)
    assert joined["scale"].shape == (1, 1)
    assert joined["conv"].shape == (1, 3, 2, 4)
    assert all(value.is_contiguous() for value in joined.values())
    back = split(table.stacked, joined)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], value) for name, value in state.items())
    assert {d.name: d.level for d in table.declarations}["conv"] == 9  # an expert of its own


def test_axes_of_tasks_and_experts() -> None:
    state = {"head.weight": torch.randn(2, 7), "head.bias": torch.randn(2), "experts": torch.randn(3, 7, 7)}
    table = role_table(state, {"head.*[task]": "tower", "experts[expert]": "expert.scenario"}, TASKS)
    assert [d.shape for d in table.declarations] == [(2, 7), (2,), (3, 7, 7)]
    assert torch.equal(table.first["experts"], state["experts"])


def test_one_task_needs_no_brackets() -> None:
    table = role_table({"head": torch.randn(7)}, {"head": "tower"}, ("click",))
    assert table.declarations == (Declaration("head", Role.TOWER, (1, 7), "zeros", unit_axis="task"),)


def test_first_values_are_kept_as_they_were() -> None:
    model = nn.Linear(2, 2)
    table = role_table(model.state_dict(), {"*": "local"}, TASKS)
    before = table.first["weight"].clone()
    with torch.no_grad():
        model.weight += 1
    assert torch.equal(table.first["weight"], before)


A, B = torch.zeros(2, 3), torch.zeros(2, 2)
WRONG: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "no role": ({"a": A, "1.running_mean": A}, {"a": "gate"}, "'1.running_mean' has no role; add a pattern for it"),
    "two roles": ({"a.x": A}, {"a.*": "gate", "*.x": "local"}, "'a.x' is named by 'a.*' and '*.x'; make the patterns"),
    "nothing": (
        {"body.weight": A},
        {"*": "gate", "bdy.weight": "gate"},
        "no parameter is called 'bdy.weight'; did you mean 'body.weight'?",
    ),
    "role": ({"a": A}, {"a": "towr"}, "roles['a'] is 'towr'; did you mean 'tower'?"),
    "bracket": ({"a": A}, {"a[tsk]": "tower"}, "what stands in brackets is 'tsk'; did you mean 'task'?"),
    "twice": ({"a": A}, {"{task}[task]": "tower"}, "counts twice"),
    "experts' towers": ({"a.0": A}, {"a.{expert}": "tower"}, "parameters of the role tower belong to one task each"),
    "whose tower": ({"a": A}, {"a": "tower"}, "roles['a']: say which tower is which task's: {task} where"),
    "lacking": ({"a.click": A}, {"a.{task}": "tower"}, "task 'like' has no 'a.{task}'"),
    "another axis": ({"a": torch.zeros(3)}, {"a[task]": "tower"}, "'a' has a first axis of 3, not of 2"),
    "two numbers of experts": (
        {"a.x": A, "a.y": torch.zeros(3)},
        {"a.*[expert]": "expert.scenario"},
        "'a.y' has a first axis of 3, not of 2",
    ),
    "no axis": ({"a": torch.zeros(())}, {"a[task]": "gate"}, "'a' has a first axis of 0, not of 2"),
    "unlike": (
        {"a.click": A, "a.like": B},
        {"a.{task}": "tower"},
        "'a.like' is float32 of shape (2, 2), 'a.click' float32 of shape (2, 3)",
    ),
    "whole numbers": ({"a": A.long()}, {"a": "expert.scenario"}, "'a' is int64 of shape (2, 3); such may be `local`"),
    "averaged by task": ({"a.click": A}, {"a.{task}": "average"}, "what is averaged whole counts no task"),
    "empty": ({}, {}, "the state_dict is empty"),
}


@pytest.mark.parametrize(("state", "roles", "sentence"), WRONG.values(), ids=WRONG)
def test_a_table_that_cannot_be_used(state: dict[str, Any], roles: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError) as found:
        role_table(state, roles, TASKS)
    assert sentence in str(found.value)
