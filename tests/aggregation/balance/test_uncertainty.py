"""Uncertainty weighting beside the paper's loss by autograd, and where it ends."""

from __future__ import annotations

import pytest
import torch

from aggregation.balance.steps import seen, start
from msmtrec.aggregation.balance.base import Seen, State
from msmtrec.aggregation.balance.uncertainty import Uncertainty


def step(losses: list[float], counts: list[bool] | None = None) -> Seen:
    known = None if counts is None else [counts]
    return seen(torch.zeros(1, len(losses), 1), losses=[losses], counts=known)


def test_s_falls_along_twice_the_gradient_of_the_papers_loss() -> None:
    losses, s = torch.tensor([0.7, 0.2], dtype=torch.float64), torch.tensor([[0.1, -0.4]], dtype=torch.float64)
    leaf = s.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((losses / (2 * leaf.exp()) + leaf / 2).sum(), leaf)
    found, after = Uncertainty(0.05).weights(step(losses.tolist()), {"s": s})
    assert torch.allclose(after["s"], s - 0.05 * 2 * gradient, atol=1e-12)
    share = torch.softmax(-s[0], 0)  # the loss weights are 1 / (2 e^s), scaled to sum to 2
    assert torch.allclose(found[0], 2 * share, atol=1e-12)


def test_weights_start_even_and_end_as_one_over_the_loss() -> None:
    rule, losses = Uncertainty(0.1), [0.6, 0.1]
    state: State = start(rule, 1, 2)
    first, state = rule.weights(step(losses), state)
    assert first.tolist() == [[1, 1]]
    for _ in range(300):
        found, state = rule.weights(step(losses), state)
    assert state["s"].exp()[0].tolist() == pytest.approx(losses, rel=1e-3)
    assert found[0].tolist() == pytest.approx([2 / 7, 12 / 7], rel=1e-3)


def test_one_large_loss_moves_s_by_the_rate_at_most() -> None:
    rule = Uncertainty(0.1)
    _, state = rule.weights(step([1e9, 0.5]), start(rule, 1, 2))
    assert state["s"][0].tolist() == pytest.approx([0.1, -0.05])


def test_the_rate_changes_the_result() -> None:
    ends = [Uncertainty(rate).weights(step([0.5, 0.2]), start(Uncertainty(rate), 1, 2))[1]["s"] for rate in (0.1, 0.2)]
    assert not torch.equal(*ends)
