import pytest
import torch

from models.plain_scenarios import plain_stem
from models.small import LAYOUT, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.models.predict import predict
from msmtrec.models.settings.stem import STEMSettings

SMALL = STEMSettings(embedding_dim=3, expert_layers=(6, 5), tower_layers=(4,), shared_experts=1, task_experts=2)


@pytest.mark.parametrize("shared, own", [(1, 1), (1, 2), (3, 2)])
def test_equals_the_plain_reference_in_float64(shared: int, own: int) -> None:
    settings = SMALL.model_copy(update={"shared_experts": shared, "task_experts": own})
    model, params = scrambled(settings)
    assert (predict(model, params, rows(12)) - plain_stem(LAYOUT, settings, params, rows(12))).abs().max() < 1e-10


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


@pytest.mark.parametrize("task", [0, 1])
def test_a_tasks_loss_trains_its_own_and_the_common_group_and_reads_all(task: int) -> None:
    model, params = scrambled(SMALL)
    found, _ = gradients(model, params, rows(40), of=task)
    before = predict(model, params, rows(9))[:, task]
    for name in ("embedding", "shared_embedding", "attention", "task.0.weight", "task.1.bias"):
        groups = found[name].split(3, 1) if name.endswith("embedding") else found[name].unbind()
        common, own = (groups[:1], groups[1:]) if len(groups) == 3 else ([torch.ones(1)], groups)
        assert common[0].abs().max() > 0, name
        assert own[task].abs().max() > 0, name
        assert own[1 - task].abs().max() == 0, name
        moved = {**params, name: params[name].clone()}
        other = 1 - task + (len(groups) == 3)
        (moved[name][:, other * 3 : other * 3 + 3] if name.endswith("embedding") else moved[name][other]).add_(0.5)
        assert not torch.allclose(predict(model, moved, rows(9))[:, task], before), name


def test_a_gate_learns_how_much_it_takes_of_another_task() -> None:
    model, params = scrambled(SMALL)
    found, _ = gradients(model, params, rows(40), of=0)
    assert found["gate"][0].abs().amax(0).min() > 0  # all 1 + 2 · 2 experts
    assert found["gate"][1].abs().max() == 0
