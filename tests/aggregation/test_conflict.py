import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from msmtrec.aggregation.conflict import (
    coordinate,
    duality_gap,
    gram_matrix,
    project_to_simplex,
    simplex_minimum,
    solve_on_support,
)
from msmtrec.base.errors import UserError
from properties import combine, random_updates


def scipy_primal(updates: np.ndarray, c: float) -> float:
    """max over V of min_n <dW_n, V> with |V - m| <= c |m|, solved directly in parameter space."""
    mean = updates.mean(0)
    length = np.linalg.norm(mean)
    start = np.append(mean, (updates @ mean).min())
    found = minimize(
        lambda v: -v[-1],
        start,
        method="SLSQP",
        constraints=[
            {"type": "ineq", "fun": lambda v: updates @ v[:-1] - v[-1]},
            {"type": "ineq", "fun": lambda v: (c * length) ** 2 - ((v[:-1] - mean) ** 2).sum()},
        ],
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert found.status in (0, 8)  # 8: no further descent at this precision
    return -float(found.fun)


@pytest.mark.parametrize("K", [2, 3, 5, 8])
@pytest.mark.parametrize("conflict", [False, True])
@pytest.mark.parametrize("c", [0.2, 0.4, 0.9])
def test_matches_the_primal_problem_solved_by_scipy(K: int, conflict: bool, c: float) -> None:
    updates = random_updates(K, 6, seed=K, conflict=conflict)
    worst = float((updates @ combine(updates, c, "none")).min())
    assert worst == pytest.approx(scipy_primal(updates.numpy(), c), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("K", [2, 7, 40, 200])
def test_duality_gap_is_closed(K: int) -> None:
    updates = random_updates(K, 50, seed=3, conflict=True)
    gram = gram_matrix(updates)
    scaled = (gram / gram.mean()).numpy()
    weights = simplex_minimum(scaled, 0.4)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert duality_gap(scaled, 0.4, weights) < 1e-5 * max(1.0, np.abs(scaled.mean(1)).max())


@pytest.mark.parametrize("K", [2, 3, 5])
def test_the_closed_form_is_stationary_on_its_support(K: int) -> None:
    gram = gram_matrix(random_updates(K, 60, seed=K))
    scaled = (gram / gram.mean()).numpy()
    weights = solve_on_support(scaled, 2.0, np.ones(K, bool))
    assert weights is not None
    gradient = scaled.mean(1) + 2.0 / np.sqrt(weights @ scaled @ weights) * scaled @ weights
    assert np.ptp(gradient) < 1e-12
    assert weights.sum() == pytest.approx(1, abs=1e-15)


def test_the_closed_form_by_hand() -> None:
    # dW = (1, 0), (0, 2): m = (.5, 1), |m|² = 1.25, G = diag(.8, 3.2) in units of |m|², b = G·1/2 = (.4, 1.6).
    # G⁻¹1 = (1.25, .3125), G⁻¹b = (.5, .5); a = 1.5625, d = 1, e = 1. With c = 2 the root of d² - a (e - c²) is
    # sqrt(5.6875), and w = ((1 + root) / a · G⁻¹1 - G⁻¹b) / root.
    root = 5.6875**0.5
    by_hand = [((1 + root) / 1.5625 * p - 0.5) / root for p in (1.25, 0.3125)]
    assert sum(by_hand) == pytest.approx(1)
    assert solve_on_support(np.diag([0.8, 3.2]), 2.0, np.ones(2, bool)) == pytest.approx(by_hand)


def test_the_closed_form_says_when_it_does_not_apply() -> None:
    assert solve_on_support(np.diag([0.8, 3.2]), 0.1, np.ones(2, bool)) is None  # not on the simplex
    assert solve_on_support(np.ones((2, 2)), 0.4, np.ones(2, bool)) is None  # singular


def test_two_opposed_updates_by_hand() -> None:
    # dW = (3, 0) and (-1, 0): m = (1, 0), |m| = 1. The worst scenario is the second for every V with V_x > 0, so
    # w* = (w, 1 - w) with dW_w = 0 reachable: w = 1/4. Then f = w·G1/N = 0 + 0, and min_n <dW_n, V> = 0 at V_x = 0?
    # The ball |V - m| <= .4 keeps V_x >= .6: the best worst case is V = (.6, 0), where it is -.6.
    updates = torch.tensor([[3.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    combined = combine(updates, 0.4, "none")
    assert combined.tolist() == pytest.approx([0.6, 0.0], abs=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_scale_free(scale: float) -> None:
    updates = random_updates(4, 30, seed=1, conflict=True)
    assert torch.allclose(combine(updates * scale, 0.4), combine(updates, 0.4) * scale, rtol=1e-9, atol=0)


def test_permutation() -> None:
    updates = random_updates(5, 20, seed=2, conflict=True)
    order = torch.tensor([3, 1, 4, 0, 2])
    assert torch.allclose(combine(updates[order], 0.4), combine(updates, 0.4), atol=1e-6)


def test_zero_updates_give_zero() -> None:
    found = coordinate(gram_matrix(torch.zeros(3, 4, dtype=torch.float64)), 0.4)
    assert (found.coefficients @ torch.zeros(3, 4, dtype=torch.float64)).abs().max() == 0
    assert found.degenerate


@pytest.mark.parametrize("rescale", ["none", "identity", "fedhca2"])
def test_one_scenario_keeps_its_update(rescale: str) -> None:
    update = random_updates(1, 9, seed=4)
    assert torch.equal(combine(update, 0.4, rescale), update[0])


def test_identical_scenarios_give_their_update_with_the_identity_rescale() -> None:
    update = random_updates(1, 9, seed=4)
    assert torch.allclose(combine(update.expand(5, -1), 0.4), update[0], rtol=1e-12)
    assert torch.allclose(combine(update.expand(5, -1), 0.4, "none"), 1.4 * update[0], rtol=1e-12)
    assert torch.allclose(combine(update.expand(5, -1), 0.4, "fedhca2"), 1.4 / 1.16 * update[0], rtol=1e-12)


@pytest.mark.parametrize("rescale", ["none", "identity"])
@pytest.mark.parametrize("seed", range(12))
def test_worst_agreement_is_not_below_the_means(rescale: str, seed: int) -> None:
    updates = random_updates(6, 40, seed, conflict=seed % 2 == 0)
    worst = (updates @ combine(updates, 0.4, rescale)).min()
    assert worst >= (updates @ updates.mean(0)).min() - 1e-9


def test_c_zero_is_the_mean_and_negative_c_is_refused() -> None:
    updates = random_updates(3, 5, seed=0)
    assert torch.allclose(combine(updates, 0.0), updates.mean(0))
    with pytest.raises(UserError, match=r"c >= 0, not -1"):
        coordinate(gram_matrix(updates), -1.0)


def test_cancelling_updates_are_counted_as_degenerate() -> None:
    update = random_updates(1, 5, seed=0)
    found = coordinate(gram_matrix(torch.cat([update, -update])), 0.4)
    assert found.degenerate
    assert found.coefficients.tolist() == [0.5, 0.5]
    assert found.negative_pairs == 1.0


def test_a_dominating_update_does_not_change_who_is_coordinated() -> None:
    updates = random_updates(3, 10, seed=5)
    updates[0] *= 1e6
    assert torch.isfinite(combine(updates, 0.4)).all()


def test_projection_to_the_simplex_by_hand() -> None:
    assert project_to_simplex(np.array([0.5, 0.5])).tolist() == [0.5, 0.5]
    assert project_to_simplex(np.array([2.0, 0.0])).tolist() == [1.0, 0.0]
    assert project_to_simplex(np.array([0.6, 0.6, -1.0])).tolist() == pytest.approx([0.5, 0.5, 0.0])
