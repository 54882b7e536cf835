"""Vectors: from lists, arrays and text to scaled numbers and a flag, and what is refused."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from logs.sources.tabular import source
from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.data import logs as reading
from msmtrec.data.encode import Variant, encode, encode_all
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.encoding.extremes import oddities
from msmtrec.data.encoding.vector_survey import Reach
from msmtrec.data.encoding.vectors import parsed
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.profile.norms import with_norms

LOOK = Feature("look", "vector", size=2, separator=",")
LISTS = [[1.0, 10.0], [3.0, 10.0], None, [5.0, 10.0], [], [1.0, 12.0], None]
PARTS = ["train", "train", "train", "validation", "test", "test", "validation"]
CLICKS = [0, 1, 1, 0, 0, 1, 1]


def logs(look: object = LISTS, feature: Feature = LOOK, scenarios: tuple[str, ...] = ("a",)) -> Logs:
    frame = pl.DataFrame({"look": look, "price": 1.0, "click": CLICKS, SPLIT: PARTS}, strict=False)
    schema = Schema(
        "toy", (Feature("price", "numeric"), feature), (Task("click"),), dict.fromkeys(scenarios, ("click",))
    )
    return Logs(schema, in_memory(dict.fromkeys(scenarios, frame)), "f", "toy.csv", allow_one_class=True)


def test_each_number_is_scaled_by_the_training_rows_and_a_flag_says_what_is_missing() -> None:
    data = encode(logs(), share=False)
    assert data.layout.numeric == 2 + 3  # price and its flag, two numbers and theirs
    train, test = data.tables["a"].splits["train"].numeric, data.tables["a"].splits["test"].numeric
    # of 1 and 3 the mean is 2 and the deviation 1; 10 and 10 do not differ: deviation 1
    assert train[:, 2:].tolist() == [[-1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert test[:, 2:].tolist() == [[0, 0, 1], [-1, 2, 0]]


def test_vectors_may_be_left_as_they_are_or_cut_off() -> None:
    plain = encode(logs(feature=Feature("look", "vector", size=2, scale="none", missing=True)), share=False)
    assert plain.tables["a"].splits["train"].numeric[:, 2:].tolist() == [[1, 10, 0], [3, 10, 0], [0, 0, 1]]
    cut = encode(logs(feature=Feature("look", "vector", size=2, clip=1.5)), share=False)
    assert cut.tables["a"].splits["test"].numeric[:, 2:].tolist() == [[0, 0, 1], [-1, 1.5, 0]]


FORMS = {
    "float32": pl.Series(LISTS, dtype=pl.List(pl.Float32)),
    "integers": pl.Series(LISTS, dtype=pl.List(pl.Int16), strict=False),
    "array": pl.Series([v or None for v in LISTS], dtype=pl.Array(pl.Float64, 2)),
    "decimals": pl.Series(LISTS).cast(pl.List(pl.Decimal(8, 2))),
    "texts": pl.Series([["1", "10.0"], ["3", "1e1"], None, ["5", "10"], [], ["1", "12"], None]),
    "json": pl.Series(["[1.0, 10]", " [3,1e1] ", None, "[5.0,10.0]", "[]", "[1 , 12.0]", None]),
    "bare": pl.Series(["1,10", "3,10", "", "5,10", " ", "1, 12", None]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(form: str) -> None:
    found = encode(logs(FORMS[form]), share=False).tables["a"].splits
    wanted = encode(logs(), share=False).tables["a"].splits
    assert all(np.array_equal(found[split].numeric, wanted[split].numeric) for split in found)


@pytest.mark.parametrize(
    "odd, what",
    [
        ([1.0, 2.0, 3.0], "3 numbers, not 2,"),
        ([1.0], "1 number, not 2,"),
        ([1.0, float("nan")], "nan as number 2"),
        ([float("-inf"), 1.0], "-inf as number 1"),
        ([1.0, None], "nothing as number 2"),
        ("[1.0, x]", "'x' as number 2"),
        ("[1.0, null]", "'null' as number 2"),
        ("[1.0, 2.0", "'[1.0, 2.0', which is no list of numbers,"),
        ("1.0, 2.0]", "'1.0, 2.0]', which is no list of numbers,"),
        ("[[1.0, 2.0]]", "'[1.0' as number 1"),
        ("7", "1 number, not 2,"),
        (7, "7, which is no list of numbers,"),
        ([True, False], "[True, False], which is no list of numbers,"),
    ],
)
def test_an_odd_vector_is_named_with_its_row(odd: object, what: str) -> None:
    look = pl.Series([None, None, None, odd, None, odd, None], strict=False)
    with pytest.raises(UserError) as error:
        encode(logs(look), share=False)
    assert str(error.value) == (
        f"toy.csv: vector column 'look' of scenario 'a' holds {what} in 2 rows (first: row 4 of the scenario);"
        " give 2 finite numbers, or nothing where the vector is missing"
    )
    encoder = encoder_of(encode(logs(), share=False), "a")
    with pytest.raises(UserError, match=r"holds .*in 1 rows \(first: row 2\)"):
        encoder.encode(pl.DataFrame({"price": [1.0, 1.0], "look": pl.Series([None, odd], strict=False)}))


def test_missing_vectors_are_refused_where_none_may_be() -> None:
    complete = Feature("look", "vector", size=2, missing=False)
    with pytest.raises(UserError, match="is missing in 3 rows but declared complete"):
        encode(logs(feature=complete), share=False)
    full = [[1.0, 2.0]] * 7
    data = encode(logs(full, complete), share=False)
    assert data.layout.numeric == 2 + 2
    with pytest.raises(UserError, match=r"may not be missing and is missing in 1 rows \(first: row 2\)"):
        encoder_of(data, "a").encode(pl.DataFrame({"price": 1.0, "look": [[1.0, 2.0], None]}))


def test_what_no_network_can_compute_with_is_refused_and_what_is_far_is_named() -> None:
    with pytest.raises(UserError, match=r"'look\[1\]' of scenario 'a' holds 1e\+30 in its test rows \(row 6 of"):
        encode(logs([*LISTS[:5], [1.0, 1e30], None]), share=False)
    data = encode(logs([*LISTS[:5], [2.0, 1e6], None]), share=False)
    assert ["'look[1]'" in sentence for sentence in oddities(data)] == [True]
    with pytest.raises(UserError, match=r"holds 1e\+30 as number 1 \(row 2\)"):
        encoder_of(data, "a").encode(pl.DataFrame({"price": 1.0, "look": [[1.0, 2.0], [1e30, 1.0]]}))
    clipped = encode(logs([*LISTS[:5], [1.0, 1e30], None], Feature("look", "vector", size=2, clip=3.0)), share=False)
    assert clipped.tables["a"].splits["test"].numeric[1, 2:].tolist() == [-1, 3, 0]


def test_chunks_make_no_difference() -> None:
    random = np.random.default_rng(0)
    look = random.integers(0, 8, (7, 2)).astype(float).tolist()
    whole = encode(logs(look), share=False).tables["a"].splits
    with patch.object(reading, "CHUNK", 2):
        parts = encode(logs(look), share=False).tables["a"].splits
    assert all(np.allclose(whole[split].numeric, parts[split].numeric, atol=1e-6) for split in whole)
    near, far = (Reach.of(np.array(pair, float)[:, None], np.arange(2)) for pair in ([2, 3], [-1, 7]))
    for reach in (near.widened(far), far.widened(near)):
        assert (reach.lowest, reach.highest, reach.low_rows, reach.high_rows) == (-1, 7, 0, 1)


def test_a_pooled_table_has_one_scale() -> None:
    one = logs()
    other = pl.DataFrame({"look": [[7.0, 4.0]] * 7, "price": 1.0, "click": CLICKS, SPLIT: PARTS})
    own = one.frame("a")
    both = logs(scenarios=("a", "b"))
    both = Logs(both.schema, in_memory({"a": own, "b": other}), "f", "toy.csv", allow_one_class=True).pooled()
    table = encode(both, share=False).tables["pooled"]
    scaler = table.encoding["scaler"]["look"]
    assert scaler["means"] == pytest.approx([(1 + 3 + 7 * 3) / 5, (10 + 10 + 4 * 3) / 5])


def test_an_encoder_is_saved_whole_and_goes_on_with_its_scales(tmp_path: Path) -> None:
    first = encoder_of(encode(logs(), share=False), "a")
    first.save(tmp_path / "encoder")
    again = Encoder.load(tmp_path / "encoder")
    frame = pl.DataFrame({"price": 1.0, "look": [[1.0, 12.0], None]})
    assert np.array_equal(again.encode(frame).numeric, first.encode(frame).numeric)
    newer = [[100.0, 0.0]] * 7
    grown = encode_all(logs(newer), {"": Variant()}, before={"": {"a": first}})[""]
    assert np.array_equal(encoder_of(grown, "a").encode(frame).numeric, first.encode(frame).numeric)


def test_own_logs_have_vectors_in_parquet_and_csv(tmp_path: Path) -> None:
    look = [[float(n), float(n % 3)] for n in range(20)]
    frame = pl.DataFrame(
        {
            "country": ["NL", "FR"] * 10,
            "look": pl.Series(look, dtype=pl.Array(pl.Float32, 2)),
            "day": [f"2026-01-{n + 1:02d}" for n in range(20)],
            "click": [0, 0, 1, 1] * 5,
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    texts = pl.Series([str(vector) for vector in look])
    frame.with_columns(look=texts).write_csv(tmp_path / "log.csv")
    tables = [
        encode(
            source(tmp_path / name, features={"look": {"kind": "vector", "size": 2}}, group=...).load(),
            share=False,
        ).tables
        for name in ("log.parquet", "log.csv")
    ]
    for country in ("NL", "FR"):
        one, other = (found[country].splits["train"].numeric for found in tables)
        assert one.shape == (6, 3)
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"kind": "vector"}, "a vector needs size"),
        ({"kind": "numeric", "size": 3}, "size needs kind 'vector'"),
        ({"kind": "vector", "size": 3, "scale": "log"}, "scale: log needs kind 'numeric'"),
        ({"kind": "numeric", "scale": "none"}, "scale: none needs kind 'vector'"),
        ({"kind": "vector", "size": 3, "scale": "none", "clip": 2}, "clip needs a scale"),
        ({"kind": "vector", "size": 3, "hash": 5}, "hash needs ids of its own"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        source(tmp_path / "log.csv", features={"look": settings})


def test_a_profile_sees_the_length_of_a_vector() -> None:
    seen = with_norms(logs([[3.0, 4.0], None, [0.0, 0.0], [], [5.0, 12.0], [1.0, 0.0], None]))
    assert seen.schema.features[1] == Feature("look", "numeric")
    assert seen.frame("a")["look"].to_list() == [5, None, 0, None, 13, 1, None]


def test_parsing_keeps_32_bits() -> None:
    found = parsed(pl.Series([[0.1, 0.2]], dtype=pl.List(pl.Float32)), LOOK)
    assert found.values.dtype == np.float32
