"""MGDA: the shortest convex combination, beside scipy and the closed form for two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from aggregation.balance.steps import drawn, seen, update, weights
from msmtrec.aggregation.balance.mgda import MGDA, shortest


@pytest.mark.parametrize("tasks", [2, 3, 5, 8])
def test_is_scipys_shortest_combination(tasks: int) -> None:
    for gradients in drawn(4, tasks, 6, seed=tasks, conflict=1.0):
        gram = (gradients @ gradients.T).numpy()
        found = minimize(
            lambda w, gram=gram: w @ gram @ w,
            np.full(tasks, 1 / tasks),
            jac=lambda w, gram=gram: 2 * gram @ w,
            method="SLSQP",
            bounds=[(0, 1)] * tasks,
            constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}],
            options={"maxiter": 1000, "ftol": 1e-16},
        )
        ours = shortest(torch.from_numpy(gram)).numpy()
        assert (ours >= 0).all()
        assert ours.sum() == pytest.approx(1)
        assert ours @ gram @ ours <= found.fun + 1e-9 * gram.max()
        assert (gram @ ours).min() >= ours @ gram @ ours - 1e-9 * gram.max()  # no vertex is below: it is the minimum


@pytest.mark.parametrize(
    ("gradients", "wanted"),
    [
        ([[2.0, 0.0], [0.0, 1.0]], [0.4, 0.8]),  # w = (1, 4) / 5
        ([[1.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),  # the shorter is the shortest: w = (1, 0)
        ([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0]),  # no direction lessens both
    ],
)
def test_two_tasks_by_hand(gradients: list[list[float]], wanted: list[float]) -> None:
    assert update(MGDA(), [gradients])[0].tolist() == pytest.approx([2 * number for number in wanted], abs=1e-12)


def test_lessens_every_loss_and_is_never_longer_than_the_plain_sum() -> None:
    gradients = drawn(50, 4, 6, seed=3, conflict=0.5)
    found = update(MGDA(), gradients)
    assert ((gradients @ found.unsqueeze(2)) > -1e-9).all()
    assert (found.norm(dim=1) <= gradients.sum(1).norm(dim=1) + 1e-9).all()


def test_a_gradient_of_zero_does_not_stop_the_others() -> None:
    """The step says which tasks count; were a zero among them, zero would be the shortest combination."""
    found = weights(MGDA(), seen([[[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]], counts=[[True, True, False]]))
    assert found[0].tolist() == pytest.approx([0.4, 1.6, 1])
