import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from msmtrec.aggregation import simplex
from msmtrec.aggregation.conflict import coordinate
from msmtrec.aggregation.simplex import affine_step, duality_gap, nearest_on_simplex, simplex_minimum
from properties import gram_matrix, random_updates


def scaled(updates: Tensor) -> tuple[Tensor, Tensor]:
    gram = gram_matrix(updates)
    gram = gram / gram.mean()
    return gram, gram.mean(1)


def normal(K: int, P: int, seed: int) -> Tensor:
    return torch.randn(K, P, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def family(name: str, K: int, P: int) -> Tensor:
    updates = normal(K, P, 1)
    if name == "drift":
        return updates + 0.3 * normal(1, P, 2)
    if name == "conflict":
        updates = updates + 0.4
        updates[: max(1, K // 3)] *= -1.5
        return updates
    if name == "near duplicates":
        origins = normal(max(2, K // 10), P, 3) + 0.1
        return origins[torch.arange(K) % len(origins)] + 1e-6 * updates
    if name == "equal ones":
        origins = normal(max(2, K // 10), P, 3) + 0.1
        return origins[torch.arange(K) % len(origins)]
    if name == "one long":
        updates = updates + 0.3
        updates[0] *= 1e3
        return updates
    if name == "lengths":
        return (updates + 0.2) * (2 * normal(K, 1, 4)).exp()
    assert name == "zero mean"
    return updates


FAMILIES = ("drift", "conflict", "near duplicates", "equal ones", "one long", "lengths", "zero mean")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("P", ["low rank", "full rank"])
@pytest.mark.parametrize("K", [2, 3, 64, 128, 129])
def test_the_duality_gap_is_closed(name: str, P: str, K: int) -> None:
    gram, linear = scaled(family(name, K, 50 if P == "low rank" else 4 * K))
    for c in (0.1, 0.4, 1.0, 5.0):
        found = coordinate(gram, c)
        assert found.weights.min() >= 0
        assert found.weights.sum() == pytest.approx(1, abs=1e-12)
        assert found.gap <= 1e-9 * max(1.0, float(linear.abs().max()))
        assert not found.degenerate or (c >= 1 and K > 50 and P == "low rank")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("P", [50, 3000])
def test_the_duality_gap_is_closed_for_a_thousand(name: str, P: int) -> None:
    gram, _ = scaled(family(name, 1000, P))
    cold = coordinate(gram, 0.4)
    assert cold.gap <= 1e-6
    assert not cold.degenerate
    for start in (cold.weights, torch.ones(1000), (cold.weights == 0).double()):
        assert coordinate(gram, 0.4, start=start).gap <= 1e-6


@pytest.mark.parametrize("K", [2, 5, 12, 20])
@pytest.mark.parametrize("c", [0.1, 0.4, 1.0, 5.0])
def test_no_value_of_scipys_is_lower(K: int, c: float) -> None:
    gram, linear = scaled(random_updates(K, 2 * K, seed=K, conflict=True))

    def value(w: np.ndarray) -> float:
        return float(w @ linear.numpy() + c * np.sqrt(w @ gram.numpy() @ w))

    found = simplex_minimum(gram, linear, c).numpy()
    theirs = minimize(
        value,
        np.full(K, 1 / K),
        method="SLSQP",
        bounds=[(0.0, 1.0)] * K,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    weights = np.clip(theirs.x, 0, None)
    assert value(found) <= value(weights / weights.sum()) + 1e-9
    assert value(found) == pytest.approx(theirs.fun, rel=1e-5, abs=1e-5)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the supports that were solved."""
    sizes: list[int] = []

    def counted(gram: Tensor, linear: Tensor, c: float, point: Tensor, soft: float) -> tuple[Tensor, float]:
        sizes.append(len(gram))
        return affine_step(gram, linear, c, point, soft)

    monkeypatch.setattr(simplex, "affine_step", counted)
    return sizes


@pytest.mark.parametrize("name", ["drift", "conflict", "zero mean"])
def test_last_rounds_weights_save_steps(name: str, steps: list[int]) -> None:
    updates = family(name, 200, 800)
    last = coordinate(gram_matrix(updates), 0.4).weights
    gram = gram_matrix(updates + 0.1 * normal(200, 800, 9))
    steps.clear()
    coordinate(gram, 0.4)
    cold = len(steps)
    steps.clear()
    assert coordinate(gram, 0.4, start=last).gap < 1e-10
    assert len(steps) < cold


def test_members_come_and_go_in_blocks(steps: list[int]) -> None:
    gram = gram_matrix(family("drift", 400, 50))  # the support has few of the 400
    coordinate(gram, 0.4, start=torch.ones(400))
    assert len(steps) < 30
    gram = gram_matrix(family("drift", 400, 1600))
    found = coordinate(gram, 0.4)
    assert 40 < int((found.weights > 0).sum()) < 200
    for start in (None, torch.ones(400), (found.weights == 0).double()):
        steps.clear()
        coordinate(gram, 0.4, start=start)
        assert len(steps) < 30


def test_the_closed_form_by_hand() -> None:
    # dW = (1, 0), (0, 2): m = (.5, 1), |m|² = 1.25, G = diag(.8, 3.2) in units of |m|², b = G·1/2 = (.4, 1.6).
    # G⁻¹1 = (1.25, .3125), G⁻¹b = (.5, .5); a = 1.5625, d = 1, e = 1. With c = 2 the larger root of
    # a v² - 2 d v + e = c² has root² = d² - a (e - c²) = 5.6875, and w = ((1 + root) / a · G⁻¹1 - G⁻¹b) / root.
    gram = torch.diag(torch.tensor([0.8, 3.2], dtype=torch.float64))
    root = 5.6875**0.5
    by_hand = [((1 + root) / 1.5625 * p - 0.5) / root for p in (1.25, 0.3125)]
    assert sum(by_hand) == pytest.approx(1)
    point = torch.tensor([0.5, 0.5], dtype=torch.float64)
    move, reach = affine_step(gram, gram.mean(1), 2.0, point)
    assert (point + move).tolist() == pytest.approx(by_hand)
    assert reach == 1


def test_where_there_is_no_minimum_the_value_falls_along_the_move() -> None:
    # as above with c = .1: with signs free the value has no lower bound
    gram = torch.diag(torch.tensor([0.8, 3.2], dtype=torch.float64))
    point = torch.tensor([0.5, 0.5], dtype=torch.float64)
    move, reach = affine_step(gram, gram.mean(1), 0.1, point)
    assert reach == float("inf")
    assert float(move.sum()) == pytest.approx(0)
    values = [float(w @ gram.mean(1) + 0.1 * (w @ gram @ w).sqrt()) for w in (point + t * move for t in range(5))]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("K", [2, 3, 5])
def test_the_closed_form_is_stationary_on_its_support(K: int) -> None:
    gram, linear = scaled(random_updates(K, 60, seed=K))
    point = torch.full((K,), 1 / K, dtype=torch.float64)
    weights = point + affine_step(gram, linear, 2.0, point)[0]
    gradient = linear + 2.0 / (weights @ gram @ weights).sqrt() * (gram @ weights)
    assert float(gradient.max() - gradient.min()) < 1e-12
    assert float(weights.sum()) == pytest.approx(1, abs=1e-15)


def test_a_singular_gram_matrix_still_gives_a_step() -> None:
    gram = torch.ones(2, 2, dtype=torch.float64)
    move, _ = affine_step(gram, gram.mean(1), 0.4, torch.tensor([0.25, 0.75], dtype=torch.float64))
    assert move.abs().max() < 0.1  # every point is a minimum: it stays about where it is
    assert float(move.sum()) == pytest.approx(0, abs=1e-12)


def test_the_gap_by_hand() -> None:
    gram = torch.diag(torch.tensor([0.8, 3.2], dtype=torch.float64))
    weights = torch.tensor([0.0, 1.0], dtype=torch.float64)
    # w = (0, 1): gradient = (.4, 1.6 + .4/sqrt(3.2) · 3.2), smallest .4
    assert duality_gap(gram, gram.mean(1), 0.4, weights) == pytest.approx(1.6 + 0.4 * 3.2**0.5 - 0.4)


def test_the_nearest_point_of_the_simplex_is_a_quadratic_problems() -> None:
    points = torch.cat([normal(6, 5, 3), torch.tensor([[1.35, 0.25, -9, -9, -9], [2, 2, 2, 2, 2]]).double()])
    found = nearest_on_simplex(points)
    assert torch.allclose(found.sum(1), torch.ones(8, dtype=torch.float64))
    assert bool((found >= 0).all())
    assert torch.allclose(found[6:], torch.tensor([[1, 0, 0, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2]]).double())
    for point, own in zip(points.numpy(), found.numpy(), strict=True):
        wanted = minimize(
            lambda x, point=point: ((x - point) ** 2).sum(),
            np.full(5, 0.2),
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            tol=1e-12,
        )
        assert np.allclose(own, wanted.x, atol=1e-5)
