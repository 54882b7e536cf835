"""Ids of a field: looked up by the vocabulary's type, where it has one, and by its distinct values otherwise."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import polars as pl
import pytest

from data.test_encode import FRAME, SCHEMA, logs
from msmtrec.base.feature import FIRST_ID, MISSING_ID, UNKNOWN_ID, Feature, IdSpace
from msmtrec.data.encode import encode
from msmtrec.data.encoding import ids as module
from msmtrec.data.encoding.ids import field_ids, type_of

VOCABULARY = pl.Series(["", "a", "longer than a view holds", "z"])
VALUES = pl.Series(["z", None, "", "new", "a", "longer than a view holds", "longer than a view holds!"])
IDS = [FIRST_ID + 3, MISSING_ID, FIRST_ID, UNKNOWN_ID, FIRST_ID + 1, FIRST_ID + 2, UNKNOWN_ID]


@pytest.mark.parametrize("known", [None, type_of(VOCABULARY)])
def test_both_ways_give_the_same_ids(known: pl.Enum | None) -> None:
    feature = Feature("word")
    assert field_ids(VALUES, feature, VOCABULARY, known)[:, 0].tolist() == IDS
    assert field_ids(VALUES.cast(pl.Categorical), feature, VOCABULARY, known)[:, 0].tolist() == IDS
    assert field_ids(VALUES.clear(), feature, VOCABULARY, known).shape == (0, 1)
    lists = Feature("words", "multi", max_values=2)
    rows = pl.Series([["z", "new", "a"], None, [], ["a"]])
    assert field_ids(rows, lists, VOCABULARY, known).tolist() == [
        [FIRST_ID + 3, UNKNOWN_ID],
        [MISSING_ID, -1],
        [MISSING_ID, -1],
        [FIRST_ID + 1, -1],
    ]


def test_only_vocabularies_that_are_not_too_large_have_a_type() -> None:
    assert type_of(VOCABULARY) == pl.Enum(VOCABULARY)
    assert type_of(IdSpace("hash", 10)) is None
    with patch.object(module, "HELD", 3):
        assert type_of(VOCABULARY) is None


def test_rows_are_encoded_alike_with_and_without_types() -> None:
    schema = replace(SCHEMA, features=(*SCHEMA.features, Feature("pair", cross=("user", "word"))))
    given = replace(logs(FRAME), schema=schema)
    found = encode(given, share=False)
    with patch.object(module, "HELD", -1):
        plain = encode(given, share=False)
    for split, rows in found.whole.items():
        assert rows.ids.tolist() == plain.whole[split].ids.tolist()
