"""What every rule does, and leaves."""

from __future__ import annotations

import pytest
import torch

from aggregation.balance.steps import drawn, rule_of, seen, start, update, weights
from msmtrec.aggregation.balance import RULES
from msmtrec.aggregation.balance.base import as_long

READS = [name for name in RULES if rule_of(name).reads_gradients]
every = pytest.mark.parametrize("name", RULES)


@every
def test_gradients_that_are_alike_give_the_plain_sum(name: str) -> None:
    gradients = torch.ones(2, 3, 4, dtype=torch.float64) * torch.tensor([[[1.0]], [[5.0]]])
    assert torch.allclose(update(rule_of(name), gradients), gradients.sum(1), rtol=1e-5)


@every
def test_members_are_problems_of_their_own_in_any_order(name: str) -> None:
    gradients, losses = drawn(5, 4, 6, seed=1, conflict=2.0), torch.rand(5, 4, dtype=torch.float64) + 0.1
    orders = torch.stack([torch.stack([torch.randperm(3) for _ in range(4)]) for _ in range(5)])
    orders = orders + (orders >= torch.arange(4).view(1, 4, 1))
    rule = rule_of(name)
    together, after = rule.weights(seen(gradients, losses, orders=orders), start(rule, 5, 4))
    for k in (3, 0, 4):
        step = seen(gradients[[k]], losses[[k]], orders=orders[[k]])
        alone, state = rule.weights(step, start(rule, 1, 4))
        assert torch.allclose(alone[0], together[k], rtol=1e-12)
        assert all(torch.allclose(value[0], after[key][k], rtol=1e-12) for key, value in state.items())
    assert any(not torch.allclose(value[0], value[1]) for value in (together, *after.values()))  # they do differ


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12])
def test_scale_free(name: str, scale: float) -> None:
    gradients, rule = drawn(3, 3, 8, seed=2, conflict=1.5), rule_of(name)
    assert torch.allclose(update(rule, gradients * scale), scale * update(rule, gradients), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", [name for name in READS if name != "gradnorm"])
def test_tasks_that_do_not_count_are_as_if_they_were_not_there(name: str) -> None:
    """Weight 1 for them, and the others' as without them; GradNorm's are those of its state at the start."""
    gradients, rule = drawn(2, 4, 6, seed=3, conflict=2.0), rule_of(name)
    without = weights(rule, seen(gradients[:, [0, 1, 3]]))
    found = weights(rule, seen(gradients, counts=[[True, True, False, True]] * 2))
    assert torch.allclose(found[:, [0, 1, 3]], without, rtol=1e-12)
    assert found[:, 2].tolist() == [1, 1]
    assert not torch.allclose(without, torch.ones_like(without))


@every
@pytest.mark.parametrize("counts", [[False, True, False], [False, False, False]])
def test_fewer_than_two_tasks_are_the_plain_sum_and_teach_no_weights(name: str, counts: list[bool]) -> None:
    rule = rule_of(name)
    step = seen(drawn(1, 3, 4, seed=4), counts=[counts], losses=[[float(known) * 0.5 for known in counts]])
    found, after = rule.weights(step, start(rule, 1, 3))
    assert found.tolist() == [[1, 1, 1]]
    for name_, value in after.items():
        others = ~torch.tensor(counts)
        assert torch.equal(value[0, others], start(rule, 1, 3)[name_][0, others])
    if "log" in after:
        assert after["log"].tolist() == [[0, 0, 0]]


@every
def test_what_is_no_number_touches_nothing(name: str) -> None:
    """`federation.balance` says that nothing counts there and clears the products; the losses stand."""
    rule, nan = rule_of(name), float("nan")
    step = seen(torch.zeros(1, 2, 3), counts=[[False, False]], losses=[[nan, 0.5]])
    before = start(rule, 1, 2)
    found, after = rule.weights(step, before)
    assert found.tolist() == [[1, 1]]
    assert all(torch.equal(value, before[key]) for key, value in after.items())


def test_weights_of_losses_sum_to_the_number_of_tasks_that_count() -> None:
    counts = torch.tensor([[True, True, False], [False, False, False]])
    found = as_long(torch.tensor([[1.0, 3.0, 9.0], [2.0, 2.0, 2.0]]), counts)
    assert found.tolist() == [[0.5, 1.5, 1.0], [1.0, 1.0, 1.0]]
