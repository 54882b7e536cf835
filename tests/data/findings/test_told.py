"""One thing at a time that would spoil a run, each with its sentence; and clean logs, of which nothing is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.findings.made import NAMES, SCHEMA, Change, encoded, every, first, rows, told
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Task
from msmtrec.data.encode import Variant, encode, encode_all
from msmtrec.data.findings.finding import Finding, Weight, folded
from msmtrec.data.findings.labels import standard_error
from msmtrec.data.findings.told import findings
from msmtrec.data.logs import SPLIT, Logs, in_memory

ITEM = SCHEMA.features[1]


def half(column: str, change: pl.Expr, step: int = 2) -> Change:
    """Every n-th row's value made another."""
    return lambda rows: rows.with_columns(
        pl.when(pl.int_range(pl.len()) % step == 0).then(change).otherwise(column).alias(column)
    )


def test_of_clean_logs_nothing_is_said() -> None:
    assert told() == []
    assert told(share=True) == []
    assert findings(encoded(names=("NL",))) == []


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (
            half("user", "0" + pl.col("user").str.slice(1)),
            [],  # u7 and 07 are two ids
        ),
        (
            half("user", pl.col("user").str.to_uppercase(), 20),
            [
                "column 'user' of scenario 'FR' holds ids in two forms, such as 'U74' and 'u74': 27 of its 107 values,"
                " in 5 % of training rows, are another one with other case or blanks; each form learns by itself;"
                " if they are the same, write them in one way"
            ],
        ),
        (half("user", pl.col("user") + " ", 20), ["two forms, such as 'u74 ' and 'u74': 27 of its 107 values"]),
        (half("user", pl.col("user") + " ", 200), []),  # three of 600 rows are no form
        (
            half("item", pl.col("item").str.zfill(5)),
            [
                "shared column 'item': 51 % of the values of scenario 'FR' are another's with other zeros, such as"
                " '00003' here and '3' in 'NL', so that nothing is shared for them; write its ids in one way",
                "column 'item' of scenario 'FR' holds ids in two forms, such as '00042' and '42': 120 of its 311",
            ],
        ),
        (
            lambda rows: rows.with_columns(pl.col("item") + ".0"),
            ["100 % of the values of scenario 'FR' are another's with other zeros, such as '1.0' here and '1' in 'NL'"],
        ),
        (
            half("item", " " + pl.col("item"), 1),
            ["100 % of the values of scenario 'FR' are another's with other case or blanks, such as ' 1' here"],
        ),
        (
            every("user", "NULL", 50),
            [
                "column 'user' of scenario 'FR' holds 'NULL' 12 times (2 % of its training values), ids like any other;"
                " if nothing is meant, set missing: ['NULL']"
            ],
        ),
        (
            lambda rows: every("item", "-", 7)(every("item", "\\N", 50)(rows)),
            ["holds '\\N' 10 times and '-' 86 times (16 %"],
        ),
        (every("item", "none", 10), []),
        (
            first("user", "guest", 400),
            [
                "'guest' in column 'user' has 40 % of all 1,000 rows of scenario 'FR': tests count it as one, and most"
                " is learnt from it; if it stands for many, or for nobody, leave it empty or set missing: ['guest']"
            ],
        ),
        (lambda rows: rows.with_columns(user=pl.int_range(pl.len()) % 8), []),  # of eight users each has an eighth
        (
            lambda rows: pl.concat([rows.head(900), rows.head(100).with_columns(pl.lit("test").alias(SPLIT))]),
            [
                "50 % of the 200 test rows of scenario 'FR' copy training rows in all features, labels and the group:"
                " their AUC measures memory; keep the first of each with unique, or check the split"
            ],
        ),
        (
            lambda rows: pl.concat(
                [rows.head(900), rows.head(100).with_columns(pl.lit("test").alias(SPLIT), age=pl.col("age") + 0.5)]
            ),
            [],
        ),
        (
            first("age", 5.0),
            [
                "column 'age' of scenario 'FR' holds one value in all 600 training rows, so that nothing is learnt of"
                " it; check where it comes from, or remove the feature"
            ],
        ),
        (first("item", "7"), ["column 'item' of scenario 'FR' holds one value in all 600 training rows"]),
        (first("age", None), ["column 'age' of scenario 'FR' is missing in all 600 training rows, so that nothing is"]),
        (first("item", None), ["column 'item' of scenario 'FR' is missing in all 600 training rows"]),
        (first("age", None, 590), []),
        (lambda rows: first("age", None, 300)(first("age", 5.0)(rows)), []),  # that it is missing says something
        (
            first("age", 5.0, 600),
            ["in its validation rows (row 651 of the scenario), but training rows"],
        ),
        (
            first("user", "me"),
            ["'me' in column 'user' has 100 % of all 1,000 rows", "column 'user' of scenario 'FR' holds one"],
        ),
        (
            lambda rows: rows.with_columns(buy="click"),
            [
                "tasks 'click' and 'buy' of scenario 'FR' have equal labels in all 1,000 labelled rows: columns 'click'"
                " and 'buy' say one thing; check the join, or take one of the tasks from the scenario"
            ],
        ),
        (
            lambda rows: first("buy", None, 50)(first("click", None, 50)(rows)).with_columns(buy="click"),
            ["have equal labels in all 950 labelled rows"],
        ),
        (
            lambda rows: rows.with_columns(age=pl.col("age") * 60),
            [
                "numeric column 'age' is 59.5 times as large in scenario 'FR' as in 'US' (typically 3,150 and 53) and"
                " spread alike: has it another unit there? If so, write one unit"
            ],
        ),
        (lambda rows: rows.with_columns(age=pl.col("age") * 20), []),
        (lambda rows: rows.with_columns(age=pl.col("age") + 3000), []),  # as large, but not spread alike
        (
            every("age", 2147483647.0, 20),
            [
                "numeric column 'age' of scenario 'FR' holds 2147483647 in 5 % of training rows, 3e+07 times as far"
                " above all others as those are apart (the next is 89); if it stands for no value, set missing:"
                " ['2147483647'], else scale: quantile"
            ],
        ),
        (
            every("age", 2147483647.0, 100),
            ["(row 1 of the scenario), 3.1e+07 times farther from all others"],
        ),  # six slips
        (every("age", -999.0, 20), ["holds -999 in 5 % of training rows, 14 times as far below all others as"]),
        (every("age", -1.0, 10), ["holds -1 in 10 % of training rows, and nothing else below 0; if it stands for"]),
        (lambda rows: rows.with_columns(age=pl.int_range(pl.len()) % 4 - 1.0), []),  # a scale of -1 to 2
        (every("age", 200.0, 20), []),
    ],
)
def test_what_is_put_into_one_scenario_is_told(change: Change, sentences: list[str]) -> None:
    found = told(change)
    assert len(found) == len(sentences), found
    for text, sentence in zip(found, sentences, strict=True):
        assert sentence in text


def test_few_rows_of_a_class_are_told_with_the_error_of_an_auc() -> None:
    def rare(split: str, label: int) -> Change:
        kept = (pl.col(SPLIT) != split) | (pl.int_range(pl.len()).over(SPLIT) < 10)
        return lambda rows: rows.with_columns(buy=pl.when(kept).then("buy").otherwise(label))

    (text,) = told(rare("test", 0))
    assert text.startswith(
        "task 'buy' of scenario 'FR' has 2 positive test rows: an AUC of 0.75 has a standard error of"
    )
    (text,) = told(rare("validation", 1), "")
    assert text == (
        "task 'buy' of scenario 'NL' has 8 negative validation rows: an AUC of 0.75 has a standard error of 0.07 there;"
        " choose no method by it, or move the split (also in scenarios 'FR' and 'US')"
    )
    assert standard_error(1, 1) == pytest.approx(np.sqrt(0.75 * 0.25))
    # of .75: Q1 = .6, Q2 = .642857, and (.1875 + 49 · .0375 + 49 · .080357) / 2500 = .002385
    assert standard_error(50, 50) == pytest.approx(0.0488365, abs=1e-6)


def test_a_class_that_is_absent_where_that_is_allowed_is_not_few() -> None:
    frames = {name: rows(n).with_columns(buy=pl.lit(0)) for n, name in enumerate(NAMES)}
    schema = replace(SCHEMA, scenarios=dict.fromkeys(NAMES, ("click", "buy")))
    assert findings(encode(Logs(schema, in_memory(frames), "f", "toy", allow_one_class=True), share=False)) == []


def test_two_tasks_of_one_column_are_one() -> None:
    schema = replace(SCHEMA, tasks=(Task("click"), Task("view", column="click"), Task("buy")))
    assert told(schema=schema) == [
        "tasks 'click' and 'view' read one column, 'click', so they are one; name another or remove one"
    ]


def test_names_of_scenarios_that_look_alike() -> None:
    assert told(names=("NL", "nl ", "Nl", " x")) == [
        "scenarios 'NL', 'nl ' and 'Nl' differ only in case or blanks; if they are one, write its name in one way",
        "the name of scenario ' x' begins or ends with a blank; remove it from the log",
    ]


@pytest.mark.parametrize(
    ("one", "others", "said"),
    [
        (1.7e12, 1.7e9, "1700000000 to 1700000000000, seconds and milliseconds since 1970: write one unit"),
        (
            0,
            1_700_000_000,
            "0 to 1700000000, of which only the last is a date in seconds since 1970: correct the first",
        ),
        (datetime(1900, 1, 1), datetime(2024, 1, 1), "1900-01-01 to 2024-01-01, 124 years: correct the wrong one"),
        (datetime(9999, 1, 1), datetime(2024, 1, 1), "2024-01-01 to 9999-01-01, 7,975 years: correct the wrong one"),
        (1.6e9, 1.7e9, ""),
        (datetime(2000, 1, 1), datetime(2024, 1, 1), ""),
        (1, 5000, ""),
    ],
)
def test_times_that_no_log_spans(one: object, others: object, said: str) -> None:
    change = first("t", one, 1)
    found = told(lambda rows: change(rows.with_columns(t=pl.lit(others))), "", time="t")
    where = " (also in scenarios 'FR' and 'US')"
    assert found == (
        [f"the times of scenario 'NL' run from {said}, or the split is not by time{where}"] if said else []
    )


@pytest.mark.parametrize("scale", ["log", "quantile"])
def test_units_are_asked_about_however_a_column_is_scaled(scale: str) -> None:
    price = Feature("price", "numeric", scale=scale)  # type: ignore[arg-type]
    schema = replace(SCHEMA, features=(SCHEMA.features[0], price))
    assert told(schema=schema) == []
    (text,) = told(lambda rows: rows.with_columns(pl.col("price") * 1000), schema=schema)
    assert "times as large in scenario 'FR' as in" in text


def test_ranks_know_no_sentinels() -> None:
    age = Feature("age", "numeric", scale="quantile")
    assert told(every("age", 2147483647.0, 20), schema=replace(SCHEMA, features=(SCHEMA.features[0], age))) == []


def test_whole_numbers_have_one_form() -> None:
    """`007` and `7` are one id where ids are whole numbers that scenarios agree on."""
    schema = replace(SCHEMA, features=(SCHEMA.features[0], replace(ITEM, shared=IdSpace("ids", 1000))))
    assert told(lambda rows: rows.with_columns(pl.col("item").str.zfill(5)), schema=schema) == []


def test_a_column_that_makes_the_scenarios_may_be_constant() -> None:
    schema = replace(SCHEMA, features=(*SCHEMA.features, Feature("country")))

    def frames(fr: str) -> Logs:
        named = {name: rows(n).with_columns(country=pl.lit(name)) for n, name in enumerate(NAMES)}
        named["FR"] = named["FR"].with_columns(country=pl.lit(fr))
        own = replace(schema, scenarios=dict.fromkeys(NAMES, ("click", "buy")))
        return Logs(own, in_memory(named), fr, "toy")

    assert findings(encode(frames("FR"), share=False)) == []
    (found,) = findings(encode(frames("NL"), share=False))
    assert found.text.startswith("column 'country' of scenario 'NL' holds one value in all 600 training rows")


def test_a_column_that_is_missing_or_has_many_values_elsewhere_makes_no_scenarios() -> None:
    (text,) = told(first("item", None), names=("NL", "FR"))
    assert text.startswith("column 'item' of scenario 'FR' is missing in all 600 training rows")
    (text,) = told(first("item", "x"), names=("NL", "FR"))
    assert text.startswith("column 'item' of scenario 'FR' holds one value in all 600 training rows")


def test_what_a_way_to_encode_does_not_see_is_not_said() -> None:
    """Shared buckets have no vocabulary; and what one variant says does not depend on which others it is made with."""
    change = lambda rows: rows.with_columns(pl.col("item") + ".0")  # noqa: E731
    assert told(change, share=True) == []
    frames = {name: change(rows(n)) if name == "FR" else rows(n) for n, name in enumerate(NAMES)}
    schema = replace(SCHEMA, scenarios=dict.fromkeys(NAMES, ("click", "buy")))
    both = encode_all(Logs(schema, in_memory(frames), "f", "toy"), {"": Variant(), "shared": Variant(share=True)})
    assert len(findings(both[""])) == 1
    assert findings(both["shared"]) == []


def test_findings_are_kept_in_the_cache(tmp_path: Path) -> None:
    frames = {name: every("user", "NULL", 50)(rows(n)) for n, name in enumerate(NAMES)}
    schema = replace(SCHEMA, scenarios=dict.fromkeys(NAMES, ("click", "buy")))
    logs = Logs(schema, in_memory(frames), "f", "toy")
    made, kept = (encode_all(logs, {"": Variant()}, cache=tmp_path)[""] for _ in range(2))
    assert findings(made) == findings(kept)
    assert "(also in scenarios" in findings(kept)[0].text


def test_what_is_told_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(rows: pl.DataFrame) -> pl.DataFrame:
        return every("age", -1.0, 10)(first("user", "guest", 400)(every("item", "NULL", 9)(rows)))

    whole = told(change)
    monkeypatch.setattr("msmtrec.data.logs.CHUNK", 77)
    assert len(whole) == 3
    assert told(change) == whole


def test_many_findings_of_a_kind_are_one_sentence_and_the_heaviest_come_first() -> None:
    many = [Finding("constant", f"c{n}", "a", f"c{n} is constant", size=n, weight=Weight.NOTE) for n in range(9)]
    few = [Finding("few", task, "b", task, size=1, what="task") for task in ("x", "y")]
    assert [found.text for found in folded([*many, *few])] == [
        "x (also in task 'y')",
        "c8 is constant (also in 8 other columns)",
    ]
