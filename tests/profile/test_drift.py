"""PSI by hand, weighted pools, and the classifier that tells scenarios apart."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from msmtrec.base.feature import Feature
from msmtrec.profile.apart import tell_apart
from msmtrec.profile.drift import Pool, over_time, psi, shift


def test_psi_by_hand() -> None:
    # (10.5, 30.5)/41 against (20.5, 20.5)/41
    p, q = (10.5 / 41, 30.5 / 41), (0.5, 0.5)
    expected = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert psi(np.array([10.0, 30.0]), np.array([20.0, 20.0])) == pytest.approx(expected)
    assert psi(np.array([5.0, 5.0]), np.array([50.0, 50.0])) == 0
    assert math.isnan(psi(np.array([0.0]), np.array([1.0])))


def test_chance_by_hand() -> None:
    found = shift("f", ["a", "b", "never"], np.array([50.0, 50.0, 0.0]), np.array([40.0, 60.0, 0.0]))
    assert found.chance == pytest.approx(10.8276 * (1 / 100 + 1 / 100), rel=1e-4)  # χ²(1) at 99.9 %
    assert found.most == ("a", 0.5, 0.4)
    assert not found.notable


def test_numeric_bins_are_deciles_of_the_reference() -> None:
    train = pl.DataFrame({"x": [float(n) for n in range(1, 101)]})
    same = over_time(Feature("x", "numeric"), train, train)
    assert same.psi == 0
    later = pl.DataFrame({"x": [95.0] * 50 + [None] * 50})
    moved = over_time(Feature("x", "numeric"), train, later)
    # ten bins of ten rows and one for missing: all of later in the last and in missing
    p = np.array([10.5] * 10 + [0.5]) / 105.5
    q = np.array([0.5] * 9 + [50.5, 50.5]) / 105.5
    assert moved.psi == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
    assert moved.most == ("missing", 0, 0.5)


def test_others_count_by_the_rows_they_stand_for() -> None:
    parts = {
        "a": (pl.DataFrame({"c": ["x", "x", "y", "y"]}), 4),
        "b": (pl.DataFrame({"c": ["x", "x"]}), 300),
        "c": (pl.DataFrame({"c": ["y", "y"]}), 100),
    }
    found = Pool(Feature("c"), parts).against_others("a")
    # 3 : 1 in 400 rows that are worth 400² / (300²/2 + 100²/2) = 3.2
    assert found.psi == pytest.approx(psi(np.array([2.0, 2.0]), np.array([2.4, 0.8])))
    assert found.most[1:] == (0.5, 0.75)
    assert math.isnan(Pool(Feature("c"), {"a": parts["a"]}).against_others("a").psi)


def test_the_rest_of_many_values_is_one_bin_and_a_list_counts_every_value() -> None:
    train = pl.DataFrame({"c": [f"v{n % 40:02d}" for n in range(400)]})
    assert over_time(Feature("c"), train, train[::-1]).psi == 0
    tags = pl.DataFrame({"t": [["a", "b"], ["a"], []]})
    other = pl.DataFrame({"t": [["a", "a", "b"], None, ["b"]]})
    expected = psi(np.array([2.0, 1.0, 1.0]), np.array([2.0, 2.0, 1.0]) * 3 / 5)
    assert over_time(Feature("t", "multi"), tags, other).psi == pytest.approx(expected)


def test_scenarios_that_are_alike_and_that_are_not() -> None:
    random = np.random.default_rng(0)

    def rows(mean: float, colour: str) -> pl.DataFrame:
        n = 1500
        return pl.DataFrame(
            {
                "u": random.integers(0, 200, n),
                "x": random.normal(mean, size=n),
                "c": np.where(random.random(n) < 0.5, colour, "grey"),
                "t": [["a"], ["a", "b"], [], None] * (n // 4),
            }
        )

    features = (Feature("x", "numeric"), Feature("c"), Feature("t", "multi"))
    samples = {"a": rows(0, "red"), "like a": rows(0, "red"), "other": rows(1, "blue"), "few": rows(3, "red")[:50]}
    found = tell_apart(samples, features, ("u",), "u")
    assert found.auc[0, 1] == pytest.approx(0.5, abs=0.04)
    # x alone gives Φ(1/√2) = .76; the colour tells a quarter of pairs for sure on each side
    assert 0.85 < found.auc[0, 2] < 0.95
    assert found.auc[2, 0] == found.auc[0, 2]
    assert np.isnan(found.auc[3]).all()
    assert (tell_apart(samples, features, (), "u").auc == found.auc)[~np.isnan(found.auc)].all()
    assert np.isnan(tell_apart(samples, (), (), None).auc).all()


def test_rare_values_that_differ_by_chance_stay_below_chance() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        one, two = (pl.DataFrame({"c": [str(n) for n in random.integers(0, 300, size)]}) for size in (210, 45))
        found = over_time(Feature("c"), one, two)
        assert found.psi < found.chance
