"""Users' contributions against DeLong by hand, a bootstrap over users, and at size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from msmtrec.evaluation.contributions import buckets, contributions
from msmtrec.evaluation.support import support


def of(scores: NDArray, labels: NDArray, group: NDArray, most: int = 16_384) -> NDArray:
    owner, found = buckets(group, most), support(labels, group)
    return contributions(scores, labels, owner, int(owner.max()) + 1, found.positive_users, found.negative_users)


def drawn(seed: int, rows: int, users: int) -> tuple[NDArray, NDArray, NDArray]:
    """Scores of two models [2, N], labels, users of very different size who differ in rate and in scores."""
    random = np.random.default_rng(seed)
    group = (users * random.random(rows) ** 2).astype(np.int64)
    taste = random.normal(size=users)[group]
    labels = (random.random(rows) < 1 / (1 + np.exp(1 - taste))).astype(float)
    signal = labels + random.normal(size=rows) + 0.5 * taste
    scores = np.stack([signal + 0.3 * random.normal(size=rows), signal + 0.8 * random.normal(size=users)[group]])
    return scores.round(1), labels, group  # rounded: ties


def test_without_common_users_it_is_delong() -> None:
    scores, labels, _ = drawn(0, 80, 10)
    up, down = scores[0][labels > 0], scores[0][labels < 1]
    wins = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    expected = wins.mean(1).var(ddof=1) / len(up) + wins.mean(0).var(ddof=1) / len(down)
    assert (of(scores[0], labels, np.arange(80)) ** 2).sum() == pytest.approx(expected, rel=1e-9)


def test_contributions_sum_to_nothing() -> None:
    scores, labels, _ = drawn(0, 500, 10)
    assert of(scores[0], labels, np.arange(500)).sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("users", [40, 300])
def test_it_is_what_a_bootstrap_over_users_converges_to(users: int) -> None:
    scores, labels, group = drawn(1, 900, users)
    random = np.random.default_rng(2)
    up, down = labels > 0, labels < 1
    wins = [np.sign(s[up][:, None] - s[down]) / 2 + 0.5 for s in scores]  # every pair: the plain counterpart
    found = []
    for _ in range(1000):
        weight = random.multinomial(users, np.full(users, 1 / users))[group].astype(float)
        first, second = (weight[up] @ w @ weight[down] / weight[up].sum() / weight[down].sum() for w in wins)
        found.append((first, first - second))
    expected = np.std(found, axis=0)  # of an AUC, and of a difference on the same users
    first, second = (of(s, labels, group) for s in scores)
    errors = np.sqrt([(first**2).sum(), ((first - second) ** 2).sum()])
    assert errors == pytest.approx(expected, rel=0.08)  # users of very different size: 5 % at 40 of them


def test_buckets() -> None:
    group = np.array([7, 3, 7, 9, 3])
    assert buckets(group).tolist() == [1, 0, 1, 2, 0]
    assert buckets(group, 2).tolist() == [1, 0, 1, 0, 0]


def test_random_groups_of_users_give_the_same_error() -> None:
    random = np.random.default_rng(0)
    scores, labels, group = drawn(3, 40_000, 20_000)
    hashed = random.integers(0, 2**62, 20_000)[group]
    whole, grouped = (np.sqrt((of(scores[0], labels, hashed, most) ** 2).sum()) for most in (10**6, 4096))
    assert grouped == pytest.approx(whole, rel=0.03)


def test_400_000_users_take_little_memory_however_many_are_drawn() -> None:
    random = np.random.default_rng(0)
    n = 400_000
    scores, labels = random.normal(size=n).astype(np.float32), random.integers(0, 2, n).astype(np.float32)
    group = random.permutation(n).astype(np.int64)
    tracemalloc.start()
    found = of(scores, labels, group)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 16_384
    assert peak < 64e6  # 400 resamples of them were 1.28 GB
