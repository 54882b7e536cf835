import pytest
import torch

from msmtrec.aggregation.personalization import BETAS, HyperStep, check_beta, is_worse, mixture, smooth_beta
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
    """Ten rows whose mean loss is lowest at `best`."""
    noise = torch.linspace(-1, 1, 10, dtype=torch.float64)
    return lambda beta: (beta - best) ** 2 + 0.1 * noise * (beta - best)


def grid(loss):  # type: ignore[no-untyped-def]
    return torch.stack([loss(b) for b in BETAS])


def choose_beta(losses, losses_at, memory, keep=0.7, tolerance=0.0):  # type: ignore[no-untyped-def]
    """Both steps, as the second exchange takes them; None where nothing can be compared."""
    smooth = smooth_beta(losses, memory, keep, tolerance)
    if smooth is None:
        return None
    rows = losses[BETAS.index(smooth)] if smooth in BETAS else losses_at(smooth)
    return check_beta(losses, rows, smooth, tolerance)


def test_the_first_round_takes_the_grid_minimum() -> None:
    loss = parabola(0.6)
    choice = choose_beta(grid(loss), loss, None)
    assert (choice.beta, choice.memory) == (0.5, 0.5)


def test_later_rounds_are_smoothed() -> None:
    loss = parabola(0.5)
    choice = choose_beta(grid(loss), loss, 1.0)
    assert choice.beta == pytest.approx(0.7 * 1.0 + 0.3 * 0.5)


def test_do_no_harm() -> None:
    loss = parabola(0.0)
    choice = choose_beta(grid(loss), loss, 1.0)
    assert choice.beta == 0.0
    assert choice.memory == pytest.approx(0.7)
    assert choice.loss_mixed == choice.loss_own == pytest.approx(0.0)


def losses_at_none(_: float) -> torch.Tensor:
    raise AssertionError("every beta of the grid is measured already")


def test_few_rows_lean_to_the_consensus_and_many_decide() -> None:
    # .02 worse at beta = 1 than at 0, row by row with sd 1: a standard error of .32 over 10 rows, of .01 over 10,000
    for rows, expected in ((10, 1.0), (10_000, 0.0)):
        noise = torch.randn(rows, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        noise = (noise - noise.mean()) / noise.std()
        choice = choose_beta(torch.stack([b * (noise + 0.02) for b in BETAS]), losses_at_none, None, tolerance=1.0)
        assert choice.beta == expected
    strict = choose_beta(
        torch.stack([b * (noise[:10] - noise[:10].mean() + 0.02) for b in BETAS]), losses_at_none, None
    )
    assert strict.beta == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("tolerance", [0.0, 2.0])
def test_a_loss_that_is_no_number_is_never_chosen(bad: float, tolerance: float) -> None:
    own = torch.full((4,), 0.6, dtype=torch.float64)
    broken = own.clone()
    broken[2] = bad
    choice = choose_beta(torch.stack([own, own, broken, broken, broken]), lambda _: broken, 1.0, 0.7, tolerance)
    assert (choice.beta, choice.loss_mixed) == (0.0, pytest.approx(0.6))
    assert choose_beta(torch.stack([broken] * 5), losses_at_none, 0.5, 0.7, tolerance) is None


def test_worse_by_hand() -> None:
    # differences 1, 3: mean 2, sd sqrt(2), standard error 1
    rows, base = torch.tensor([2.0, 4.0]), torch.tensor([1.0, 1.0])
    assert is_worse(rows, base, 1.9)
    assert not is_worse(rows, base, 2.1)
    assert not is_worse(base, base, 0.0)


def test_hyper_step_by_hand() -> None:
    # <dW, U>/|U|² = 2; g = -2 + 1e-4·.1; velocity = .9·1 + g; alpha = .1 - .01·velocity
    alpha, velocity = HyperStep()(0.1, 1.0, 2.0)
    assert velocity == pytest.approx(0.9 - 2 + 1e-5)
    assert alpha == pytest.approx(0.1 - 0.01 * (0.9 - 2 + 1e-5))


def test_alpha_stays_within_zero_and_one() -> None:
    assert HyperStep(rate=1)(0.5, 0.0, 100.0)[0] == 1.0
    assert HyperStep(rate=1)(0.5, 0.0, -100.0)[0] == 0.0


def test_clipping_shortens_only_long_updates() -> None:
    factors = clip_factors(torch.tensor([1.0, 2.0, 20.0]), 2.0)
    assert factors.tolist() == [1.0, 1.0, 0.2]
