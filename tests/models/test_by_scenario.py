import torch

from msmtrec.models.by_scenario import ByScenario

SCENARIO = torch.tensor([[2, 0, 2, 2, 0], [1, 1, 1, 1, 1]])
VALID = torch.tensor([[True, True, True, False, True], [True, True, False, False, False]])
GROUPS = ByScenario.of(SCENARIO, VALID)


def test_rows_of_a_scenario_stand_together_and_come_back() -> None:
    assert GROUPS.numbers.tolist() == [[0, 2], [1, 0]]  # the second member has one group; the other place is empty
    assert GROUPS.rows[0].tolist() == [[1, 4, 0, 0, 0], [0, 2, 3, 0, 0]]
    assert GROUPS.counted[0].tolist() == [[True, True, False, False, False], [True, True, False, False, False]]
    assert GROUPS.counted[1].tolist() == [[True, True, False, False, False], [False] * 5]
    x = torch.randn(2, 5, 3, requires_grad=True)
    back = GROUPS.join(GROUPS.split(x)).transpose(1, 2)
    assert torch.equal(back, x)
    (gradient,) = torch.autograd.grad(back.sum(), x)
    assert torch.equal(gradient, torch.ones_like(x))


def test_each_group_takes_its_scenarios_slice() -> None:
    slices = torch.arange(2 * 3).view(2, 3, 1).float()
    assert GROUPS.take(slices).squeeze(2).tolist() == [[0, 2], [4, 3]]


def test_only_scenarios_with_rows_that_count_are_changed() -> None:
    slices, new = torch.zeros(2, 3, 1), torch.tensor([[[7.0], [8.0]], [[9.0], [5.0]]])
    assert GROUPS.put(slices, new).squeeze(2).tolist() == [[7, 0, 8], [0, 9, 0]]  # 5 belongs to nobody
    nobody = ByScenario.of(SCENARIO, torch.zeros_like(VALID))
    assert nobody.put(slices, new).abs().sum() == 0
