import pytest
import torch

from msmtrec.aggregation.personalization import BETAS, HyperStep, choose_beta, mixture
from msmtrec.aggregation.robust import clip_factors


def test_mixture_ends_are_exact() -> None:
    own, consensus = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(mixture(own, consensus, torch.zeros(1)), own)
    assert torch.equal(mixture(own, consensus, torch.ones(1)), consensus)
    assert torch.equal(mixture(own, own, torch.tensor([0.37])), own)


def test_mixture_with_one_beta_per_task() -> None:
    own, consensus = torch.zeros(2, 3), torch.ones(2, 3)
    assert mixture(own, consensus, torch.tensor([0.25, 0.75]))[:, 0].tolist() == [0.25, 0.75]


def parabola(best: float):  # type: ignore[no-untyped-def]
    return lambda beta: (beta - best) ** 2


def test_the_first_round_takes_the_grid_minimum() -> None:
    loss = parabola(0.6)
    choice = choose_beta([loss(b) for b in BETAS], loss, None)
    assert (choice.beta, choice.memory) == (0.5, 0.5)


def test_later_rounds_are_smoothed() -> None:
    loss = parabola(0.5)
    choice = choose_beta([loss(b) for b in BETAS], loss, 1.0)
    assert choice.beta == pytest.approx(0.7 * 1.0 + 0.3 * 0.5)


def test_do_no_harm() -> None:
    loss = parabola(0.0)
    choice = choose_beta([loss(b) for b in BETAS], loss, 1.0)
    assert choice.beta == 0.0
    assert choice.memory == pytest.approx(0.7)
    assert choice.loss_mixed == choice.loss_own == 0.0


def test_hyper_step_by_hand() -> None:
    # <dW, U>/|U|² = 8/4 = 2; g = -2 + 1e-4·.1; velocity = .9·1 + g; alpha = .1 - .01·velocity
    alpha, velocity = HyperStep()(0.1, 1.0, torch.tensor([4.0, 9.0]), torch.tensor([2.0, 0.0]))
    assert velocity == pytest.approx(0.9 - 2 + 1e-5)
    assert alpha == pytest.approx(0.1 - 0.01 * (0.9 - 2 + 1e-5))


def test_alpha_stays_within_zero_and_one() -> None:
    u = torch.tensor([1.0])
    assert HyperStep(rate=1)(0.5, 0.0, 100 * u, u)[0] == 1.0
    assert HyperStep(rate=1)(0.5, 0.0, -100 * u, u)[0] == 0.0


def test_clipping_shortens_only_long_updates() -> None:
    factors = clip_factors(torch.tensor([1.0, 2.0, 20.0]), 2.0)
    assert factors.tolist() == [1.0, 1.0, 0.2]
