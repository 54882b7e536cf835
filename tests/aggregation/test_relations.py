"""Cosines, distances and precisions of a Gram matrix, against the vectors themselves."""

from __future__ import annotations

import torch

from msmtrec.aggregation.relations import cosines, mean_pull, precision, squared_distances


def test_distances_and_cosines_are_those_of_the_vectors() -> None:
    vectors = torch.randn(4, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    vectors[2] = 0
    gram = vectors @ vectors.T
    assert torch.allclose(squared_distances(gram), torch.cdist(vectors, vectors).square(), atol=1e-12)
    wanted = torch.cosine_similarity(vectors.unsqueeze(0), vectors.unsqueeze(1), dim=2)
    assert torch.allclose(cosines(gram), wanted)
    same = torch.ones(3, 3, dtype=torch.float64) * 0.1
    assert squared_distances(same).unique().tolist() == [0.0]


def test_omega_is_the_inverse_covariance_that_makes_the_problem_least() -> None:
    """Against the definition by eigenvalues; any other covariance of that trace gives more; it has no unit."""
    noise = torch.Generator().manual_seed(1)
    W = torch.randn(40, 5, generator=noise, dtype=torch.float64) * torch.tensor([1.0, 1, 2, 3, 0.2])
    W = W - W.mean(1, keepdim=True)
    gram = W.T @ W
    omega = precision(gram)
    values, vectors = torch.linalg.eigh(gram)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    assert torch.allclose(torch.linalg.pinv(root * 4 / root.trace(), rtol=1e-6), omega, atol=1e-8)
    assert torch.allclose(omega.sum(1), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    least = float((gram * omega).sum())
    for other in (mean_pull(5), precision(gram + 5 * mean_pull(5)), precision(gram @ gram)):
        assert float((gram * other).sum()) > least
    assert torch.allclose(precision(gram * 1e-20), omega)
    off = gram + 1e-6 * torch.ones(5, 5, dtype=torch.float64)  # a mean that was rounded
    assert torch.allclose(precision(off), omega)


def test_unrelated_and_equal_scenarios_are_drawn_to_the_mean() -> None:
    for gram in (7 * mean_pull(4), torch.zeros(4, 4, dtype=torch.float64)):
        assert torch.allclose(precision(gram), mean_pull(4))
    assert precision(torch.zeros(1, 1, dtype=torch.float64)).tolist() == [[0.0]]
