"""Attention among updates, against the whole matrices."""

from __future__ import annotations

import torch

from msmtrec.aggregation.attention import attended


def test_attention_is_a_softmax_over_all_updates() -> None:
    noise = torch.Generator().manual_seed(3)
    new, old = (list(torch.randn(5, 2, 3, generator=noise, dtype=torch.float64)) for _ in range(2))
    moved = (torch.stack(new) - torch.stack(old)).flatten(1)
    wanted = torch.softmax(moved @ moved.T / 6**0.5, 1) @ moved
    assert torch.allclose(torch.stack(attended(new, old)).flatten(1), wanted)
