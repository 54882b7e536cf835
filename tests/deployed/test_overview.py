"""What scenarios tell, side by side: a line for each way in which something is declared."""

from __future__ import annotations

from dataclasses import replace

from deployed.test_fit import ONE, other
from deployed.test_told import TOLD
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.deployed.overview import columns, fields, tasks
from msmtrec.deployed.told import Told, sealed


def told(schema: Schema, *, timed: bool = True) -> Told:
    return Told(timed=timed, declared=sealed(schema))


ALIKE = {"NL": told(ONE), "FR": told(other())}


def test_every_kind_of_field() -> None:
    schema = replace(
        ONE,
        features=(
            Feature("user"),
            Feature("agent", hash=2048),
            Feature("item", shared=IdSpace("ids", 1683)),
            Feature("page", shared=IdSpace("hash", 4096)),
            Feature("genre", "multi", shared=IdSpace.of_values(["a", "b"]), max_values=3),
            Feature("seen", "sequence", of="item"),
            Feature("price", "numeric"),
            Feature("picture", "vector", size=8),
            Feature("both", cross=("user", "item")),
            Feature("cheap", "numeric", expression="price < 2", reads=(("price", "number"),)),
        ),
    )
    genre = sealed(schema).features[4].shared
    assert genre is not None
    digest = genre.values[0].removeprefix("sha256:")[:8]
    assert list(fields({"NL": told(schema)})) == [
        ("user", "categorical", "own", "NL"),
        ("agent", "categorical", "own, 2,048 hash buckets", "NL"),
        ("item", "categorical", "shared, ids below 1,683", "NL"),
        ("page", "categorical", "shared, 4,096 hash buckets", "NL"),
        ("genre", "multi", f"shared, a list of 2 (digest {digest})", "NL"),
        ("seen", "sequence", "that of item", "NL"),
        ("price", "numeric", "–", "NL"),
        ("picture", "vector of 8 numbers", "–", "NL"),
        ("both", "categorical, a cross", "own", "NL"),
        ("cheap", "numeric, an expression", "–", "NL"),
    ]


def test_what_all_have() -> None:
    assert [line[-1] for line in fields(ALIKE)] == ["all 2"] * 3
    assert list(tasks(ALIKE)) == [("click", "–", "all 2"), ("buy", "–", "NL")]


def test_what_differs_stands_below_each_other() -> None:
    odd = other(
        features=(ONE.features[0], Feature("item", shared=IdSpace("hash", 65)), Feature("age", "numeric")),
        tasks=(ONE.tasks[0], Task("buy", "is_buy", within="click"), Task("like")),
    )
    found = {**ALIKE, "BE": Told(timed=True, declared=replace(sealed(odd), scenarios={"BE": ("buy",)}))}
    assert list(fields(found)) == [
        ("user", "categorical", "own", "all 3"),
        ("item", "categorical", "shared, 64 hash buckets", "NL, FR"),
        ("item", "categorical", "shared, 65 hash buckets", "BE"),
        ("price", "numeric", "–", "NL, FR"),
        ("age", "numeric", "–", "BE"),
    ]
    assert list(tasks(found)) == [
        ("click", "–", "NL, FR"),
        ("buy", "–", "NL"),
        ("buy", "click", "BE"),
        ("like", "–", "nobody"),
    ]


def test_of_each_scenario() -> None:
    swapped = {"NL": {"test": 2, "train": 1000, "validation": 1}}
    one = Told(timed=True, rows=swapped, declared=sealed(ONE))
    assert list(columns({"NL": one, "FR": told(other(group=None, weight="w"), timed=False)})) == [
        ("NL", "user", "–", "yes", "1,000 + 1 + 2"),
        ("FR", "–", "w", "no", "not counted"),
    ]
    assert [line[-1] for line in columns(dict.fromkeys(TOLD.scenarios, TOLD))] == ["3 + 1 + 0"] * 2
