from dataclasses import replace

import pytest
import torch

from models.plain_tasks import plain_esmm
from models.small import LAYOUT, PRIVATE_ROWS, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.base.errors import UserError
from msmtrec.models.esmm import products
from msmtrec.models.predict import predict
from msmtrec.models.settings.esmm import ESMMSettings

SMALL = ESMMSettings(embedding_dim=3, layers=(6, 5), tower_layers=(4,))
CHAIN = replace(LAYOUT, tasks=("view", "buy", "click", "like"), within=(-1, 2, 0, -1))
"""A task may come before the one it lies within."""


def test_equals_the_plain_reference_in_float64() -> None:
    model, params = scrambled(SMALL)
    assert (predict(model, params, rows(12)) - plain_esmm(LAYOUT, SMALL, params, rows(12))).abs().max() < 1e-10


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


def test_probabilities_are_multiplied_and_not_logits_along_every_chain() -> None:
    given = torch.tensor([[0.3, -1.2, 2.0, 0.7]], dtype=torch.float64)
    p = torch.sigmoid(given)[0]
    wanted = [p[0], p[0] * p[2] * p[1], p[0] * p[2], p[3]]
    found = torch.sigmoid(products(given, CHAIN.within))[0]
    assert found.tolist() == pytest.approx([float(value) for value in wanted], rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_however_large_logits_and_gradients_stay_finite_and_no_task_is_above_the_one_it_lies_within(
    dtype: torch.dtype,
) -> None:
    values = torch.tensor([-1e4, -200.0, -20.0, -1.0, 0.0, 1.0, 20.0, 200.0, 1e4], dtype=dtype)
    given = torch.cartesian_prod(values, values).requires_grad_()
    with torch.enable_grad():
        found = products(given, (-1, 0))
        (gradient,) = torch.autograd.grad(found.sum(), given)
    assert bool(torch.isfinite(found).all())
    assert bool(torch.isfinite(gradient).all())
    assert bool((found[:, 1] <= found[:, 0]).all())
    assert torch.allclose(found[:, 0], given[:, 0])
    small = (given < -100).any(1)  # there the logit of the product is the sum of the logarithms
    assert torch.allclose(found[small, 1], torch.nn.functional.logsigmoid(given[small]).sum(1))


def test_the_click_is_learned_from_conversions_too() -> None:
    """The loss of the product reaches the click's network, that of the click only its own."""
    model, params = scrambled(SMALL)
    for task, reached in ((0, [True, False]), (1, [True, True])):
        found, _ = gradients(model, params, rows(20), of=task)
        assert (found["task.0.weight"].flatten(1).abs().amax(1) > 0).tolist() == reached


def test_a_task_must_lie_within_another() -> None:
    for within in ((), (-1, -1)):
        with pytest.raises(UserError, match=r"here no task lies within another; declare it \(tasks.NAME.within\) or"):
            SMALL.build(replace(LAYOUT, within=within))
    model = SMALL.build(CHAIN)
    params = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    chance = predict(model, params, rows(9))
    assert bool((chance[:, 1] < chance[:, 2]).all())
    assert bool((chance[:, 2] < chance[:, 0]).all())
