import numpy as np
import pytest
import torch

from models.plain import plain_ple
from models.small import LAYOUT, depends_on_the_batch, gradients, rows, scrambled
from msmtrec.base.roles import Role
from msmtrec.models.base import Pass
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.ple import PLESettings

SMALL = PLESettings(embedding_dim=3, expert_layers=(6, 5), tower_layers=(4,), shared_experts=3, task_experts=2)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("layers", [(6,), (6, 5)])
def test_equals_the_plain_reference_in_float64(levels: int, layers: tuple[int, ...]) -> None:
    settings = SMALL.model_copy(update={"levels": levels, "expert_layers": layers})
    model, params = scrambled(settings)
    data = rows(12)
    assert (predict(model, params, data) - plain_ple(LAYOUT, settings, params, data)).abs().max() < 1e-10


@pytest.mark.parametrize("levels", [1, 3])
def test_every_parameter_gets_a_gradient(levels: int) -> None:
    """No shared gate above the last level, no expert in a list that never trains."""
    model, params = scrambled(SMALL.model_copy(update={"levels": levels}))
    found, _ = gradients(model, params, rows(64))
    assert found.keys() == params.keys()
    assert [n for n, g in found.items() if g.flatten(1).abs().amax(1).min() == 0 and "embedding" not in n] == []
    assert [n for n, g in found.items() if g.abs().max() == 0] == []
    assert sum(n.endswith("shared_gate") for n in params) == levels - 1


def test_every_expert_of_every_task_gets_a_gradient() -> None:
    model, params = scrambled(SMALL)
    found, _ = gradients(model, params, rows(64))
    for name in params:
        if ".task." in name:
            assert found[name].flatten(2).abs().amax(2).min() > 0, name  # [T, Jt]


def test_predictions_do_not_depend_on_the_batch() -> None:
    assert depends_on_the_batch(*scrambled(SMALL), rows(30)) < 1e-6


def test_a_gate_is_a_softmax_over_its_experts_and_never_over_one() -> None:
    """Where all experts of a level are one, gates cannot matter; with the smallest shape a gate still has two."""
    least = PLESettings(shared_experts=1, task_experts=1, levels=2)
    model = least.build(LAYOUT)
    assert all(d.shape[-1] >= 2 for d in model.declare() if d.role is Role.GATE)
    assert {d.shape[-1] for d in model.declare() if d.name.endswith("shared_gate")} == {3}  # one a task, and one
    model, params = scrambled(SMALL)
    same = dict(params)
    for d in model.declare():
        if d.role is Role.EXPERT_SCENARIO:
            task = d.name.replace("shared", "task")
            same[d.name] = params[d.name][:1].expand_as(params[d.name]).clone()
            same[task] = params[d.name][0].expand_as(params[task]).clone()
    gates = [d.name for d in model.declare() if d.role is Role.GATE]
    other = {**same, **{n: torch.randn_like(params[n]) for n in gates}}
    assert torch.allclose(predict(model, same, rows(9)), predict(model, other, rows(9)))
    assert not torch.allclose(
        predict(model, params, rows(9)), predict(model, {**params, gates[0]: other[gates[0]]}, rows(9))
    )


def test_dropout_is_drawn_in_experts_only() -> None:
    model, params = scrambled(SMALL.model_copy(update={"dropout": 0.5}))
    sites: list[str] = []

    def watch(shape: tuple[int, ...], rate: float, site: str) -> torch.Tensor:
        sites.append(site)
        assert rate == 0.5
        assert shape[1] == 2 * 2 + 3  # every expert side by side, and nothing else
        return torch.zeros(shape, dtype=torch.bool)

    data = rows(5)
    stacked = Stacked(model, [Weights(params)])
    model.forward(stacked.parameters, Pass(stacked.batch([data]), training=True, dropout=watch))
    assert sites == ["level.0.0", "level.0.1", "level.1.0", "level.1.1"]


def test_tasks_share_nothing_but_shared_experts_and_the_input() -> None:
    """With one level task 1's own experts cannot reach task 0; below another level they do, by the shared gate."""
    for levels, reaches in ((1, False), (2, True)):
        model, params = scrambled(SMALL.model_copy(update={"levels": levels}))
        moved = {n: p.clone() for n, p in params.items()}
        moved["level.0.task.0.weight"][1] += 1
        before, after = (predict(model, p, rows(9))[:, 0] for p in (params, moved))
        assert torch.equal(before, after) is not reaches


def test_units_belong_to_levels() -> None:
    declared = {d.name: d for d in SMALL.build(LAYOUT).declare()}
    assert declared["level.1.shared.0.weight"].level == 1
    assert declared["level.1.task.0.weight"].shape == (2, 2, 5, 6)
    assert {d.level for d in declared.values() if d.role is Role.TOWER} == {0}
    assert np.all([d.trained for d in declared.values()])
