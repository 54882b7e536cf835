"""Nash-MTL: the bargaining equations, beside scipy's root, and the length that we give the update."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor

from aggregation.balance.steps import drawn, update
from msmtrec.aggregation.balance.nash import RIDGE, NashMTL, bargained


def by_scipy(gram: np.ndarray) -> np.ndarray:
    """The positive α with G α = 1/α, from log α."""
    start = -0.5 * np.log(np.diag(gram))

    def left(log: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(log) * (gram @ np.exp(log)) - 1)

    return np.asarray(np.exp(least_squares(left, start, xtol=1e-15, ftol=1e-15, gtol=1e-15).x))


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_solves_the_equations_as_scipy_does(tasks: int) -> None:
    gradients = drawn(4, tasks, 9, seed=tasks, conflict=0.5)
    found = update(NashMTL(), gradients)
    for given, ours in zip(gradients, found, strict=True):
        alpha = by_scipy((given @ given.T).numpy())
        direction = alpha @ given.numpy()
        assert np.linalg.norm(direction) == pytest.approx(tasks**0.5, rel=1e-6)
        wanted = direction * float(given.norm(dim=1).sum()) / tasks**0.5
        assert np.allclose(ours.numpy(), wanted, atol=1e-4 * np.linalg.norm(wanted))


def residual(cosines: Tensor, beta: Tensor) -> float:
    return float(((cosines @ beta.unsqueeze(2)).squeeze(2) * beta - 1).abs().max())


def test_newton_ends_at_the_solution_from_hard_problems_too() -> None:
    for conflict in (0.0, 1.0, 1e3):
        gradients = drawn(50, 4, 6, seed=1, conflict=conflict)
        unit = gradients / gradients.norm(dim=2, keepdim=True)
        cosines = unit @ unit.transpose(1, 2)
        beta = bargained(cosines, RIDGE)
        assert (beta > 0).all()
        assert residual(cosines + RIDGE * torch.eye(4, dtype=torch.float64), beta) < 1e-7


def test_two_tasks_by_hand() -> None:
    """Two at a right angle: β = 1 each. |g| = 3 and 1: the directions' sum, (1, 1), at length 3 + 1."""
    wanted = 4 / 2**0.5
    assert update(NashMTL(), [[[3.0, 0.0], [0.0, 1.0]]])[0].tolist() == pytest.approx([wanted, wanted], rel=1e-5)


def test_gradients_that_cancel_out_give_nothing_and_no_infinity() -> None:
    found = update(NashMTL(), [[[1.0, 2.0], [-3.0, -6.0]]])
    assert found[0].tolist() == pytest.approx([0, 0], abs=1e-6)
