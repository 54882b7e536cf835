from __future__ import annotations

import numpy as np
import pytest

from msmtrec.evaluation.support import support


def test_by_hand() -> None:
    found = support(np.array([1, 0, 1, 0, 0.0]), np.array([5, 5, 5, 8, 9]))
    assert (found.rows, found.positives, found.negatives, found.users) == (5, 2, 3, 3)
    assert (found.positive_users, found.negative_users) == (1, 3)


@pytest.mark.parametrize(
    ("positives", "negatives", "users", "few"),
    [
        (10, 10, 10, ""),
        (0, 500, 500, "0 positives"),
        (1, 500, 500, "1 positive"),
        (9, 500, 500, "9 positives"),
        (500, 9, 500, "9 negatives"),
        (500, 500, 1, "positives of 1 user or session"),
        (500, 500, 9, "positives of 9 users or sessions"),
    ],
)
def test_ten_of_either_class_from_ten_users(positives: int, negatives: int, users: int, few: str) -> None:
    owner = np.concatenate([np.arange(positives), np.arange(negatives)]) % users
    assert support(np.repeat([1.0, 0.0], [positives, negatives]), owner).few == few


def test_negatives_of_few_users_count_too() -> None:
    owner = np.concatenate([np.arange(50), np.zeros(50)])
    assert support(np.repeat([1.0, 0.0], [50, 50]), owner).few == "negatives of 1 user or session"
