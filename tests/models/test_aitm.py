from dataclasses import replace

import pytest
import torch

from models.plain_tasks import plain_aitm
from models.small import LAYOUT, PRIVATE_ROWS, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.models.base import Pass
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.aitm import AITMSettings

SMALL = AITMSettings(embedding_dim=3, layers=(6, 5), tower_layers=(4,))
THREE = replace(LAYOUT, tasks=("click", "like", "buy"), within=(-1, 0, 0))


@pytest.mark.parametrize("tasks", [1, 2, 3])
def test_logits_and_the_constraint_equal_the_plain_reference_in_float64(tasks: int) -> None:
    layout = replace(THREE, tasks=THREE.tasks[:tasks], within=THREE.within[:tasks])
    model, params = scrambled(SMALL, layout)
    data = rows(12)
    logits, loss = plain_aitm(layout, SMALL, params, data)
    assert (predict(model, params, data) - logits).abs().max() < 1e-10
    stacked = Stacked(model, [Weights(params)])
    forward = Pass(stacked.batch([data]), training=True)
    model.forward(stacked.parameters, forward)
    assert len(forward.losses) == (tasks > 1)
    assert torch.allclose(sum(forward.losses, start=torch.zeros(1, dtype=torch.float64))[0], loss, atol=1e-12)
    assert (float(loss) > 0.01) == (tasks > 1)


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


def constraint(within: tuple[int, ...], valid: int = 12, training: bool = True) -> list[torch.Tensor]:
    model = SMALL.build(replace(LAYOUT, within=within))
    params = scrambled(SMALL)[1]
    stacked = Stacked(model, [Weights(params)])
    batch = stacked.batch([rows(12)])
    batch.valid[:, valid:] = False
    forward = Pass(batch, training=training)
    model.forward(stacked.parameters, forward)
    return forward.losses


def test_the_constraint_counts_rows_that_are_there_in_training_only() -> None:
    (six,) = constraint((-1, 0), valid=6)
    assert float(six) == pytest.approx(
        float(plain_aitm(LAYOUT, SMALL, scrambled(SMALL)[1], rows(12).take(slice(6)))[1])
    )
    assert constraint((-1, 0), training=False) == []


def test_tasks_that_do_not_lie_within_each_other_have_no_constraint() -> None:
    assert constraint((-1, -1)) == []
    assert constraint(()) == []


def test_a_task_reads_the_one_before_it_and_not_the_one_behind() -> None:
    model, params = scrambled(SMALL)
    for task, reached in ((0, [True, False]), (1, [True, True])):
        found, _ = gradients(model, params, rows(20), of=task)
        assert (found["task.0.weight"].flatten(1).abs().amax(1) > 0).tolist() == reached


def test_the_attention_is_a_softmax_over_two() -> None:
    """Where the task before hands on exactly what the task has itself, attention cannot matter."""
    model, params = scrambled(SMALL)
    same = {**params, "task.0.weight": params["task.0.weight"][:1].expand(2, -1, -1).clone()}
    for name in ("task.0.bias", "task.1.weight", "task.1.bias"):
        same[name] = params[name][:1].expand_as(params[name]).clone()
    same["transfer.weight"], same["transfer.bias"] = torch.eye(5, dtype=torch.float64)[None], torch.zeros(1, 5).double()
    other = {**same, "attention.key": -same["attention.key"]}
    assert torch.allclose(predict(model, same, rows(9)), predict(model, other, rows(9)))
    moved = {**params, "attention.key": -params["attention.key"]}
    assert not torch.allclose(predict(model, params, rows(9))[:, 1], predict(model, moved, rows(9))[:, 1])


def test_with_one_task_there_is_nothing_to_hand_on() -> None:
    model = SMALL.build(replace(LAYOUT, tasks=("click",), within=(-1,)))
    assert not [d.name for d in model.declare() if d.name.startswith(("transfer", "attention."))]
    assert predict(model, model.initialise(0, "a", PRIVATE_ROWS, torch.float64), rows(3)).shape == (3, 1)
