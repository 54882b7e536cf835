"""What a node says is looked at before anything is summed or written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deployed.test_fit import ONE
from msmtrec.base.errors import UserError
from msmtrec.deployed.messages import Facts
from msmtrec.deployed.trust import check_evidence, check_said, declared, own_alone, records
from msmtrec.evaluation.compare import Spread
from msmtrec.evaluation.support import Support
from msmtrec.record.evidence import Evidence
from msmtrec.statistics.exchange import Said
from msmtrec.statistics.history import History
from msmtrec.statistics.inputs import Moments

FACTS = Facts(json.dumps(ONE.as_dict()), {"NL": {"train": 3, "validation": 1, "test": 1}}, timed=True)
COUNTS = History(2, np.array([0, 3, 8]), np.array([[1.0, 1.0, 0.5], [2.0, 2.0, -0.5], [1.0, 0.0, 0.0]]))
MOMENTS = Moments(np.ones(3), np.ones(3), np.ones(3))


def test_its_own_rows() -> None:
    told = declared("one", ("NL",), FACTS)
    assert (told.declared, told.rows, told.timed) == (ONE, FACTS.rows, True)
    own_alone("one", ("NL", "BE"), ["BE", "NL"], "speaks of")


@pytest.mark.parametrize(
    ("facts", "names", "sentence"),
    [
        (FACTS, ("BE",), "node 'one' declares other scenarios than its own: NL, not BE"),
        (FACTS, ("NL", "BE"), "node 'one' declares other scenarios than its own: NL, not BE, NL"),
        (replace(FACTS, rows={}), ("NL",), "node 'one' has rows of other scenarios than its own: none, not NL"),
        (replace(FACTS, rows={"NL": {"train": 3}}), ("NL",), "node 'one' does not say how many rows of each split"),
        (replace(FACTS, schema="{}"), ("NL",), "how node 'one' declares its rows cannot be read"),
        (replace(FACTS, schema="no JSON"), ("NL",), "how node 'one' declares its rows cannot be read"),
        (replace(FACTS, schema="[" * 100_000), ("NL",), "how node 'one' declares its rows cannot be read"),
        (
            replace(FACTS, schema=FACTS.schema.replace('"positive": []', '"positive": ["yes"]')),
            ("NL",),
            "how node 'one' declares its rows cannot be read",
        ),
    ],
)
def test_other_rows(facts: Facts, names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UserError) as found:
        declared("one", names, facts)
    assert str(found.value).startswith(sentence)


def test_counts_and_moments() -> None:
    check_said({"NL": Said(histories={"item": COUNTS}), "BE": Said(moments=MOMENTS), "FR": Said()})


@pytest.mark.parametrize(
    "change",
    [
        {"keys": np.array([0, 8, 3])},
        {"keys": np.array([0, 3, 3])},
        {"keys": np.array([-1, 3, 8])},
        {"keys": np.array([0, 3])},
        {"sums": COUNTS.sums[0]},
        {"sums": np.where(COUNTS.sums == 0.5, np.nan, COUNTS.sums)},
        {"sums": np.where(COUNTS.sums == 0.5, np.inf, COUNTS.sums)},
        {"sums": -COUNTS.sums},
        {"units": -1},
    ],
)
def test_what_are_no_counts(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="scenario 'BE' sent counts of its ids that are none; nothing is summed"):
        check_said({"NL": Said(histories={"item": COUNTS}), "BE": Said(histories={"item": replace(COUNTS, **change)})})


def test_what_are_no_moments() -> None:
    with pytest.raises(UserError, match="scenario 'BE' sent sums of its inputs that are no numbers"):
        check_said({"BE": Said(moments=replace(MOMENTS, squares=np.array([1.0, np.nan, 1.0])))})


def entry(seed: int, scenario: str) -> dict[str, Any]:
    return {"seed": seed, "scenario": scenario, "auc": 0.5}


def test_records_are_of_all_own_scenarios_and_seeds() -> None:
    wanted = [entry(seed, name) for seed in (0, 1) for name in ("NL", "BE")]
    assert records("one", ("NL", "BE"), (0, 1), json.dumps(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (json.dumps([entry(0, "NL")]), "does not speak of its own scenarios"),
        (json.dumps([entry(0, "NL"), entry(1, "NL"), entry(1, "BE")]), "does not speak of its own scenarios"),
        (json.dumps([entry(0, "NL"), {"seed": 1}]), "what node 'one' says of its scenarios cannot be read"),
        ("7", "what node 'one' says of its scenarios cannot be read"),
        ("", "what node 'one' says of its scenarios cannot be read"),
    ],
)
def test_records_of_others(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        records("one", ("NL",), (0, 1), text)


SPREAD = Spread(1.0, 1.0, 3)
EVIDENCE = Evidence(
    {("NL", "click"): Support(20, 10, 10, 10, negative_users=10)},
    {("NL", "click"): {"ours": SPREAD}},
    {("local", "ours"): SPREAD},
)


def test_evidence_is_of_own_lines() -> None:
    check_evidence("one", ("NL",), EVIDENCE)
    with pytest.raises(UserError, match="node 'one' weighs other scenarios than its own: NL, not BE"):
        check_evidence("one", ("BE",), EVIDENCE)


@pytest.mark.parametrize("wrong", [Spread(float("nan"), 1.0, 3), Spread(1.0, float("inf"), 3), Spread(1.0, 1.0, -3)])
def test_evidence_is_of_numbers(wrong: Spread) -> None:
    for found in (
        replace(EVIDENCE, pairs={("a", "b"): wrong}),
        replace(EVIDENCE, lines={("NL", "click"): {"a": wrong}}),
    ):
        with pytest.raises(UserError, match="node 'one' sent sums over its users that are no numbers"):
            check_evidence("one", ("NL",), found)
