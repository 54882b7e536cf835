import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from msmtrec.aggregation.conflict import coordinate
from msmtrec.base.errors import UserError
from properties import combine, gram_matrix, random_updates


def scipy_primal(updates: np.ndarray, c: float, mean: np.ndarray | None = None) -> float:
    """max over V of min_n <dW_n, V> with |V - m| <= c |m|, solved directly in parameter space."""
    mean = updates.mean(0) if mean is None else mean
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


def test_two_opposed_updates_by_hand() -> None:
    # dW = (3, 0) and (-1, 0): m = (1, 0), |m| = 1. The worst scenario is the second for every V with V_x > 0, so
    # w* = (w, 1 - w) with dW_w = 0 reachable: w = 1/4. Then f = w·G1/N = 0 + 0, and min_n <dW_n, V> = 0 at V_x = 0?
    # The ball |V - m| <= .4 keeps V_x >= .6: the best worst case is V = (.6, 0), where it is -.6.
    updates = torch.tensor([[3.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    combined = combine(updates, 0.4, "none")
    assert combined.tolist() == pytest.approx([0.6, 0.0], abs=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("c", [0.1, 0.4, 1.0, 5.0])
def test_scale_free(scale: float, c: float) -> None:
    updates = random_updates(4, 30, seed=1, conflict=True)
    assert torch.allclose(combine(updates * scale, c), combine(updates, c) * scale, rtol=1e-9, atol=0)


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
    assert not coordinate(gram_matrix(update), 0.4).degenerate  # there was nothing to coordinate


def test_identical_scenarios_give_their_update_with_the_identity_rescale() -> None:
    update = random_updates(1, 9, seed=4)
    assert torch.allclose(combine(update.expand(5, -1), 0.4), update[0], rtol=1e-12)
    assert torch.allclose(combine(update.expand(5, -1), 0.4, "none"), 1.4 * update[0], rtol=1e-12)
    assert torch.allclose(combine(update.expand(5, -1), 0.4, "fedhca2"), 1.4 / 1.16 * update[0], rtol=1e-12)


@pytest.mark.parametrize("rescale", ["none", "identity"])
@pytest.mark.parametrize("c", [0.1, 0.4, 1.0, 5.0])
@pytest.mark.parametrize("zeros", [0, 1, 3])
def test_worst_agreement_is_not_below_the_means(rescale: str, c: float, zeros: int) -> None:
    for seed in range(12):
        updates = random_updates(6, 40, seed, conflict=seed % 2 == 0)
        updates[:zeros] = 0
        moved = updates[zeros:]
        worst = (moved @ combine(updates, c, rescale)).min()
        assert worst >= (moved @ updates.mean(0)).min() - 1e-9


def test_on_small_lattices_the_best_worst_case_is_found_or_there_is_none() -> None:
    # whole numbers: opposed, parallel, equal and zero updates, and mixtures that vanish exactly
    random, degenerate = np.random.default_rng(0), 0
    for _ in range(150):
        values = random.integers(-2, 3, (random.integers(2, 9), random.integers(1, 4))).astype(float)
        mean, c = values.mean(0), float(random.choice([0.1, 0.4, 0.9, 1.0, 2.0]))
        if not mean.any():
            continue
        updates = torch.from_numpy(values)
        found = coordinate(gram_matrix(updates), c, "none")
        moved = values[(values != 0).any(1)]
        best = scipy_primal(moved, c, mean)
        if found.degenerate:  # only where the best that can be had is no agreement at all
            degenerate += 1
            assert best == pytest.approx(0, abs=1e-6)
        else:
            worst = (moved @ (found.coefficients @ updates).numpy()).min()
            assert worst >= best - 1e-6
            assert found.gap < 1e-9
    assert degenerate > 5


def test_one_update_that_is_zero_switches_nothing_off() -> None:
    updates = random_updates(5, 30, seed=1, conflict=True)
    updates[2] = 0
    found = coordinate(gram_matrix(updates), 0.4, "none")
    assert not found.degenerate
    assert found.weights[2] == 0
    assert found.weights.sum() == pytest.approx(1)
    # the ball and m are over all five, the worst case over the four that moved
    moved = updates[[0, 1, 3, 4]]
    best = scipy_primal(moved.numpy(), 0.4, updates.mean(0).numpy())
    assert float((moved @ (found.coefficients @ updates)).min()) == pytest.approx(best, rel=1e-6)


def test_a_zero_update_by_hand() -> None:
    # dW = (3, 0), 0, 0: m = (1, 0); only the first counts, V = m + .4 |m| (1, 0) = (1.4, 0)
    updates = torch.tensor([[3.0, 0.0], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert combine(updates, 0.4, "none").tolist() == pytest.approx([1.4, 0.0])
    assert combine(updates, 0.4, "identity").tolist() == pytest.approx([1.0, 0.0])


def test_degenerate_where_the_worst_mixture_vanishes_and_only_there() -> None:
    # (0, 1) and (0, -1) mix to nothing and (3, 0) agrees with everything: no V makes the worst of them positive
    updates = torch.tensor([[0.0, 1.0], [0.0, -1.0], [3.0, 0.0]], dtype=torch.float64)
    found = coordinate(gram_matrix(updates), 0.4)
    assert found.degenerate
    assert found.gap == 0.0
    assert found.coefficients.tolist() == [1 / 3] * 3
    updates[1, 0] = 1e-4  # a little to the right
    assert not coordinate(gram_matrix(updates), 0.4).degenerate


def test_a_mixture_that_vanishes_on_the_way_does_not_end_the_search() -> None:
    # short updates that cancel out beside long ones; at 0 the square root has no gradient, and a better V exists
    values = [[-0.01, -0.01, 0], [-0.02, -0.02, -0.01], [-0.02, -0.02, 0], [0.02, 0.02, 0], [0.04, 0.04, 0.02]]
    values += [[0.04, 0.04, 0], [-10, -10, 10], [-10, 0, 10], [20, 0, 20], [0, -10, 20]]
    found = coordinate(gram_matrix(torch.tensor(values, dtype=torch.float64)), 0.95)
    assert not found.degenerate
    assert found.gap < 1e-10


def test_mixtures_that_vanish_are_found_whatever_the_rounding_errors() -> None:
    # updates along one line and a ten-thousandth beside it, on both sides of 0
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        shapes = ((300, 1), (1, 30), (300, 30))
        along, line, beside = (torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes)
        assert coordinate(gram_matrix(along * line + 1e-4 * beside), 5.0).degenerate


@pytest.mark.parametrize("start", ["itself", "uniform", "wrong", "nothing", "zero"])
def test_any_start_leads_to_the_same_update(start: str) -> None:
    updates = random_updates(60, 25, seed=8, conflict=True)
    updates[7] = 0
    gram = gram_matrix(updates)
    cold = coordinate(gram, 0.4)
    starts = {
        "itself": cold.weights,
        "uniform": torch.full((60,), 1 / 60, dtype=torch.float64),
        "wrong": (cold.weights == 0).double(),
        "nothing": torch.zeros(60, dtype=torch.float64),
        "zero": torch.eye(60, dtype=torch.float64)[7],  # only the one that did not move
    }
    warm = coordinate(gram, 0.4, start=starts[start])
    assert warm.gap < 1e-10
    assert torch.allclose(warm.coefficients @ updates, cold.coefficients @ updates, rtol=1e-8, atol=1e-10)


def test_a_start_of_other_scenarios_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3\], not \[4\]"):
        coordinate(gram_matrix(random_updates(4, 5, seed=0)), 0.4, start=torch.ones(3))


def test_c_zero_is_the_mean_and_negative_c_is_refused() -> None:
    updates = random_updates(3, 5, seed=0)
    assert torch.allclose(combine(updates, 0.0), updates.mean(0))
    found = coordinate(gram_matrix(updates), 0.0)
    assert (found.weights.tolist(), found.degenerate, found.gap) == ([1 / 3] * 3, False, 0.0)
    with pytest.raises(UserError, match=r"c >= 0, not -1"):
        coordinate(gram_matrix(updates), -1.0)
    with pytest.raises(UserError, match=r"c >= 0, not inf"):
        coordinate(gram_matrix(updates), float("inf"))


def test_an_update_that_is_no_number_is_named() -> None:
    updates = random_updates(4, 5, seed=0)
    updates[2, 1] = float("nan")
    with pytest.raises(UserError, match=r"update 2 of 4"):
        coordinate(gram_matrix(updates), 0.4)


def test_cancelling_updates_are_counted_as_degenerate() -> None:
    update = random_updates(1, 5, seed=0)
    found = coordinate(gram_matrix(torch.cat([update, -update])), 0.4)
    assert found.degenerate
    assert found.coefficients.tolist() == [0.5, 0.5]
    assert found.negative_pairs == 1.0


def test_the_share_of_pairs_that_point_against_each_other() -> None:
    right_up_left = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0]], dtype=torch.float64)
    found = coordinate(gram_matrix(right_up_left), 0.4)
    assert found.cosine.tolist() == [[1, 0, -1], [0, 1, 0], [-1, 0, 1]]
    assert found.negative_pairs == 1 / 3  # at right angles is not against
    assert coordinate(gram_matrix(right_up_left[:1]), 0.4).negative_pairs == 0.0


def test_a_dominating_update_does_not_change_who_is_coordinated() -> None:
    updates = random_updates(3, 10, seed=5)
    updates[0] *= 1e6
    assert torch.isfinite(combine(updates, 0.4)).all()
