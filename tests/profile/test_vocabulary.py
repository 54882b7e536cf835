"""Distinct values, growth, coverage and overlap, exact and from a sample of values."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from msmtrec.base.feature import Feature
from msmtrec.data.logs import SPLIT
from msmtrec.profile.hashes import Bound, hashed
from msmtrec.profile.vocabulary import Distinct, Vocabulary, overlap


def learnt(values: dict[str, list[object]], kind: str = "categorical", limit: int = 1000) -> Vocabulary:
    field = Vocabulary(Feature("f", kind), Distinct(Bound(limit)))  # type: ignore[arg-type]
    for scenario, held in values.items():
        field.learn(scenario, pl.DataFrame({"f": held}))
    return field


def asked(field: Vocabulary, scenario: str, values: list[object]) -> tuple[float, float]:
    held = pl.DataFrame({"f": values, SPLIT: ["test"] * len(values)})
    field.ask(scenario, held, pl.Series([0] * len(values)), 1)
    found = field.asked[scenario]["test"]
    return found.unknown, found.known_anywhere


def test_overlap_by_hand() -> None:
    field = learnt({"a": [1, 2, 3, 4, 4, None], "b": [4, 5], "c": [None]})
    found = overlap(field.distinct, ("a", "b", "c"))
    assert found[:2].tolist() == [[1, 0.25, 0], [0.5, 1, 0]]
    assert np.isnan(found[2]).all()


def test_coverage_by_hand() -> None:
    field = learnt({"a": [1, 2], "b": [3]})
    unknown, anywhere = asked(field, "a", [1, 3, 3, 9, None])
    assert (unknown, anywhere) == (0.75, 0.75)
    assert field.late["a"].tolist() == [[4], [3]]


def test_every_value_of_a_multi_valued_field_counts() -> None:
    field = learnt({"a": [["x", "y"], [], None]}, "multi")
    assert field.distinct.count("a") == 2
    assert asked(field, "a", [["x", "z"], ["x"]]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_growth_does_not_depend_on_the_chunks() -> None:
    values = [n % 50 if n < 100 else n for n in range(300)]
    whole = learnt({"a": list(values)})
    parts = Vocabulary(Feature("f"), Distinct(Bound()))
    for start in (0, 7, 90, 200):
        parts.learn("a", pl.DataFrame({"f": values[start : {0: 7, 7: 90, 90: 200, 200: 300}[start]]}))
    assert whole.curve("a") == parts.curve("a")
    by_rows = dict(whole.curve("a"))
    assert (by_rows[32], by_rows[300]) == (32, 250)
    assert by_rows[96] == 50


def test_above_the_limit_figures_are_close_and_say_so() -> None:
    one, two = list(range(60_000)), list(range(45_000, 105_000))
    field = learnt({"a": one, "b": two}, limit=10_000)  # type: ignore[dict-item]
    assert not field.distinct.bound.exact
    assert sum(len(field.distinct.values(name)) for name in "ab") <= 10_000
    assert field.distinct.count("a") == pytest.approx(60_000, rel=0.05)
    assert overlap(field.distinct, ("a", "b"))[0, 1] == pytest.approx(0.25, abs=0.03)
    assert asked(field, "a", list(range(30_000, 90_000)))[0] == pytest.approx(0.5, abs=0.03)
    assert field.curve("a")[-1][1] == pytest.approx(60_000, rel=0.05)


def test_integers_and_texts_are_the_same_values() -> None:
    assert hashed(pl.Series([7])).tolist() == hashed(pl.Series(["7"])).tolist()
