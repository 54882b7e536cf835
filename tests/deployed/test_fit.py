"""Schemas of several scenarios: one, or a sentence that names both sides and no value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.deployed.fit import common_schema, fitting
from msmtrec.deployed.told import Told, sealed

ONE = Schema(
    "logs of one",
    (Feature("user"), Feature("item", shared=IdSpace("hash", 64)), Feature("price", "numeric")),
    (Task("click", "is_click"), Task("buy", "is_buy")),
    {"NL": ("click", "buy")},
    group="user",
)


def other(**changes: Any) -> Schema:
    return replace(ONE, **{"name": "logs of two", "scenarios": {"FR": ("click",)}, "missing": ("-",), **changes})


def test_one_for_all() -> None:
    """Which tasks a scenario has, and how its values are written, is its own."""
    found = common_schema({"NL": ONE, "FR": other(whole=("user",))})
    assert found.scenarios == {"NL": ("click", "buy"), "FR": ("click",)}
    assert (found.features, found.tasks) == (ONE.features, ONE.tasks)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": ONE.features[:2]}, ": only 'NL' has the feature 'price'; declare the same ones"),
        ({"features": (*ONE.features, Feature("age"))}, ": only 'FR' has the feature 'age'; declare the same ones"),
        ({"features": ONE.features[::-1]}, " list their features in different orders; list them alike"),
        (
            {"features": (*ONE.features[:2], Feature("price", "numeric", scale="log", clip=3.0))},
            " declare the feature 'price' differently, in scale, clip; declare it alike",
        ),
        (
            {"features": (ONE.features[0], Feature("item", shared=IdSpace("hash", 65)), ONE.features[2])},
            " declare the feature 'item' differently, in shared; declare it alike",
        ),
        ({"tasks": ONE.tasks[:1]}, ": only 'NL' has the task 'buy'; declare the same ones"),
        (
            {"tasks": (ONE.tasks[0], Task("buy", "is_buy", within="click"))},
            " declare the task 'buy' differently, in within; declare it alike",
        ),
        ({"group": "session"}, " have different columns for group: user, session"),
        ({"weight": "w"}, " have different columns for weight: None, w"),
    ],
)
def test_what_does_not_fit(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as found:
        common_schema({"NL": ONE, "FR": other(**changes)})
    assert str(found.value) == f"scenarios 'NL' and 'FR'{sentence}"


def test_times_are_of_all_or_of_none() -> None:
    one, two = Told(timed=True, declared=ONE), Told(timed=True, declared=sealed(other()))
    assert fitting({"NL": one, "FR": two}) == common_schema({"NL": ONE, "FR": other()})
    for first, second, having in ((True, False, "NL"), (False, True, "FR")):
        told = {"NL": one.model_copy(update={"timed": first}), "FR": two.model_copy(update={"timed": second})}
        with pytest.raises(UserError) as found:
            fitting(told)
        assert str(found.value) == (
            f"scenarios 'NL' and 'FR': only '{having}' has rows with times; declare split.time for both or for none"
        )
