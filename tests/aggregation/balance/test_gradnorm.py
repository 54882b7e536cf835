"""GradNorm beside the paper's loss by autograd; its alpha has an effect."""

from __future__ import annotations

import pytest
import torch

from aggregation.balance.steps import drawn, seen, start
from msmtrec.aggregation.balance.base import State
from msmtrec.aggregation.balance.gradnorm import GradNorm


def by_autograd(alpha: float, log: torch.Tensor, norms: torch.Tensor, pace: torch.Tensor) -> torch.Tensor:
    """d/d(log w) of Σ |w_t |g_t| - const|, over Ḡ."""
    leaf = log.clone().requires_grad_()
    sizes = leaf.exp() * norms
    target = (sizes.mean() * (pace / pace.mean()) ** alpha).detach()
    (found,) = torch.autograd.grad((sizes - target).abs().sum(), leaf)
    return found / sizes.mean().detach()


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.5])
def test_the_weights_descend_on_the_papers_loss(alpha: float) -> None:
    gradients, losses = drawn(1, 3, 5, seed=1), torch.tensor([[0.5, 0.9, 0.1]], dtype=torch.float64)
    log = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64)
    log = log - log.logsumexp(1, keepdim=True) + torch.tensor(3.0, dtype=torch.float64).log()
    first = torch.tensor([[0.6, 0.7, 0.7]], dtype=torch.float64)
    rule = GradNorm(alpha, 0.05)
    found, after = rule.weights(seen(gradients, losses), {"log": log, "first": first})
    moved = log[0] - 0.05 * by_autograd(alpha, log[0], gradients[0].norm(dim=1), losses[0] / first[0])
    assert torch.allclose(after["log"][0].exp(), 3 * torch.softmax(moved, 0), atol=1e-12)
    assert torch.allclose(found, log.exp(), atol=1e-12)  # with the weights before the step
    assert torch.equal(after["first"], first)


def end(alpha: float, steps: int = 200) -> torch.Tensor:
    """Gradients of 4 and 1; the second task's loss has halved, the first's has not moved."""
    rule = GradNorm(alpha, 0.01)
    state: State = start(rule, 1, 2)
    gradients = torch.tensor([[[4.0, 0.0], [0.0, 1.0]]])
    _, state = rule.weights(seen(gradients, losses=[[0.7, 0.7]]), state)
    for _ in range(steps):
        found, state = rule.weights(seen(gradients, losses=[[0.7, 0.35]]), state)
    return found[0]


def test_without_alpha_all_gradients_become_equally_long_and_with_it_the_slow_task_gains() -> None:
    even, slow = end(0.0), end(1.5)
    assert float(4 * even[0] / even[1]) == pytest.approx(1, rel=0.1)
    # G_1 / Ḡ = (4/3)^1.5 and G_2 / Ḡ = (2/3)^1.5 cannot both be, as they do not sum to 2: between the two
    assert float(4 * slow[0] / slow[1]) > (2 - (2 / 3) ** 1.5) / (2 / 3) ** 1.5 - 0.1
    assert float(4 * slow[0] / slow[1]) < (4 / 3) ** 1.5 / (2 - (4 / 3) ** 1.5) + 0.1
    assert float(even.sum()) == pytest.approx(2)


def test_a_task_that_comes_later_has_its_first_loss_then() -> None:
    rule = GradNorm(1.5, 0.05)
    gradients = drawn(1, 3, 5, seed=2)
    _, state = rule.weights(seen(gradients, [[0.7, 0.6, 0.0]], counts=[[True, True, False]]), start(rule, 1, 3))
    assert state["first"].tolist() == [[0.7, 0.6, 0]]
    _, state = rule.weights(seen(gradients, [[0.5, 0.5, 0.4]]), state)
    assert state["first"].tolist() == [[0.7, 0.6, 0.4]]
