"""CAGrad beside the paper's problem solved by scipy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from aggregation.balance.steps import drawn, seen, update, weights
from msmtrec.aggregation.balance.cagrad import CAGrad


def by_scipy(gradients: Tensor, c: float) -> np.ndarray:
    """argmin over the simplex of <g_w, g_0> + c |g_0| |g_w|, then d = g_0 + c |g_0| g_w / |g_w|."""
    given = gradients.numpy()
    mean, count = given.mean(0), len(given)
    length = np.linalg.norm(mean)
    found = minimize(
        lambda w: (w @ given) @ mean + c * length * np.linalg.norm(w @ given),
        np.full(count, 1 / count),
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}],
        options={"maxiter": 1000, "ftol": 1e-15},
    )
    worst = found.x @ given
    return np.asarray(mean + c * length * worst / np.linalg.norm(worst))


@pytest.mark.parametrize("tasks", [2, 3, 5])
@pytest.mark.parametrize("c", [0.2, 0.4, 0.9])
def test_is_scipys_solution_times_the_tasks(tasks: int, c: float) -> None:
    gradients = drawn(3, tasks, 8, seed=tasks, conflict=1.5)
    found = update(CAGrad(c), gradients)
    for k in range(3):
        wanted = tasks / (1 + c) * by_scipy(gradients[k], c)
        assert np.allclose(found[k].numpy(), wanted, atol=1e-4 * np.linalg.norm(wanted))


def test_two_tasks_by_hand() -> None:
    """g = (3, 0), (-1, 0): g_0 = (1, 0), g_w = (-1, 0) is worst for c < 1: d = (1 - c, 0), twice that / (1 + c)."""
    assert update(CAGrad(0.25), [[[3.0, 0.0], [-1.0, 0.0]]])[0].tolist() == pytest.approx([2 * 0.75 / 1.25, 0])


def test_c_changes_the_result_and_zero_is_the_plain_sum() -> None:
    gradients = drawn(2, 3, 8, seed=1, conflict=1.5)
    assert not torch.allclose(update(CAGrad(0.2), gradients), update(CAGrad(0.8), gradients))
    assert weights(CAGrad(0), seen(gradients)).tolist() == [[1, 1, 1]] * 2


def test_gradients_that_cancel_out_are_the_plain_sum() -> None:
    found = weights(CAGrad(0.4), seen([[[1.0, 2.0], [-1.0, -2.0]]]))
    assert found.tolist() == [[1, 1]]
