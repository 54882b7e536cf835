"""A column of weights: what it may hold, where it goes, and that nothing is there where nobody asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from logs.sources.tabular import ROWS, source
from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.data.encode import Variant, encode, encode_all
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.logs import Logs
from msmtrec.experiment.joining import untrained

WEIGHTS = [0.0, 0.0, *(float(n) for n in range(2, 20))]


def weighed(folder: Path, weights: object = None, **changes: object) -> Logs:
    column = pl.Series("w", WEIGHTS if weights is None else weights)
    ROWS.with_columns(column).write_parquet(folder / "logs.parquet")
    return source(folder / "logs.parquet", weight="w", **{"allow_one_class": True, **changes}).load()


def but(place: int, value: object) -> list[object]:
    return [*WEIGHTS[:place], value, *WEIGHTS[place + 1 :]]


@pytest.mark.parametrize("cached", [False, True])
def test_every_split_has_its_rows_weights(tmp_path: Path, cached: bool) -> None:
    logs = weighed(tmp_path)
    cache = tmp_path / "cache" if cached else None
    for _ in range(2):  # made, and opened again
        found = encode_all(logs, {"own": Variant(), "pooled": Variant(pooled=True)}, cache=cache)
        own, pooled = found["own"].tables, found["pooled"].tables["pooled"]
        assert [own["NL"].splits[s].weight.tolist() for s in ("train", "validation", "test")] == [  # type: ignore[union-attr]
            [0, 2, 4, 6, 8, 10],
            [12, 14],
            [16, 18],
        ]
        part = pooled.parts["train"]["FR"]
        assert pooled.splits["train"].take(part).weight.tolist() == [0, 3, 5, 7, 9, 11]  # type: ignore[union-attr]
    assert own["NL"].splits["train"].weight.dtype == np.float32  # type: ignore[union-attr]


def test_without_a_weight_there_is_no_array(tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "logs.parquet")
    data = encode(source(tmp_path / "logs.parquet").load(), share=False, cache=tmp_path / "cache")
    assert all(rows.weight is None for rows in data.whole.values())
    assert not list((tmp_path / "cache").rglob("*weight*"))


def test_rows_to_predict_need_no_weight_and_may_have_one(tmp_path: Path) -> None:
    encoder = encoder_of(encode(weighed(tmp_path), share=False), "NL")
    encoder.save(tmp_path / "encoder")
    encoder = Encoder.load(tmp_path / "encoder")
    assert encoder.schema.weight == "w"
    assert "w" not in encoder.columns
    rows = pl.DataFrame({"user": ["u1"], "price": [1.0], "tags": [["a"]]})
    assert encoder.encode(rows).weight is None
    assert encoder.encode(rows.with_columns(w=2)).weight.tolist() == [2]  # type: ignore[union-attr]
    with pytest.raises(UserError, match=r"scenario 'NL': weight 'w' holds -1.0 in 1 rows \(first: row 1\); a weight"):
        encoder.encode(rows.with_columns(w=-1))


def test_a_schema_of_an_earlier_version_has_no_weight() -> None:
    schema = Schema("x", (Feature("user"),), (Task("click"),), {"a": ("click",)})
    raw = schema.as_dict()
    del raw["weight"]
    for task in raw["tasks"]:
        del task["negatives_kept"], task["conditional"]
    assert Schema.from_dict(raw) == schema


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            but(7, None),
            r"weight 'w' of scenario 'FR' is empty in 1 rows \(first: row 4 of the scenario\); give every row",
        ),
        (but(7, float("nan")), r"weight 'w' of scenario 'FR' is empty in 1 rows"),
        (
            but(6, -2.0),
            r"weight 'w' of scenario 'NL' holds -2.0 in 1 rows \(first: row 4 .*a weight is 0 or a number from",
        ),
        (but(19, float("inf")), r"weight 'w' of scenario 'FR' holds inf in 1 rows \(first: row 10 of the scenario\)"),
        (but(0, 1e-40), r"weight 'w' of scenario 'NL' holds 1e-40 in 1 rows"),
        (["a"] * 20, r"logs.parquet: weight 'w' of scenario 'FR' holds 'a' in 10 rows .*; a weight is a number"),
        ([n % 2 for n in range(20)], r"weight 'w' is 0 in all training rows of scenario 'NL'; leave the scenario out"),
    ],
)
def test_what_is_no_weight_is_refused(tmp_path: Path, weights: list[object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        encode(weighed(tmp_path, pl.Series("w", weights, strict=False)), share=False)


def test_a_csv_with_a_gap_is_refused_too(tmp_path: Path) -> None:
    ROWS.with_columns(pl.Series("w", but(7, None))).write_csv(tmp_path / "logs.csv")
    with pytest.raises(UserError, match=r"logs.csv: weight 'w' of scenario 'FR' is empty in 1 rows"):
        encode(source(tmp_path / "logs.csv", weight="w", allow_one_class=True).load(), share=False)


def test_a_row_of_weight_nought_is_of_neither_class(tmp_path: Path) -> None:
    """NL's rows with weight above 0 are all clicked."""
    with pytest.raises(UserError, match=r"label 'click' of scenario 'NL' has one class only in the train split"):
        encode(weighed(tmp_path, [float(n % 4) for n in range(20)], allow_one_class=False), share=False)


@pytest.mark.parametrize("columns", [("click",), ("user",), ("a", "user")])
def test_a_label_or_a_feature_is_no_weight(columns: tuple[str, ...]) -> None:
    feature = Feature("user") if len(columns) == 1 else Feature("cross", cross=columns)
    with pytest.raises(UserError, match=r"column '\w+' is the rows' weight and also a label or a feature \(leakage\)"):
        Schema("x", (feature,), (Task("click"),), {"a": ("click",)}, weight=columns[0])


def test_a_scenario_that_joins_may_have_rows_that_do_not_count(tmp_path: Path) -> None:
    logs = replace(weighed(tmp_path, [float(n % 2) for n in range(20)]), joining=True)
    (sentence,) = (text for name, text in untrained(encode(logs, share=False)) if name == "NL")
    assert sentence == "scenario 'NL' has no labelled training row: its models are their first download"
