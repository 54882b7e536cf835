"""Values with weights: read from text, pooled by their shares, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
import torch

from logs.sources.tabular import source
from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, MISSING_ID, PADDING, UNKNOWN_ID, Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data import logs as reading
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.encoding.tagged import parsed, shares
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.table import EncodedData
from msmtrec.models import MODELS
from msmtrec.models.predict import Weights, predict, predict_each

TAGS = Feature("tags", "multi", max_values=2, separator=",", weight_separator=":")
ROWS = [["12:0.5", "65:1.5"], ["12:3"], None, ["65:1", "new:3", "12:9"], ["NA:1", "12:2"], ["12:0"], ["a:65:2"]]
PARTS = ["train", "train", "train", "validation", "test", "validation", "test"]


def logs(tags: object = ROWS, feature: Feature = TAGS) -> Logs:
    frame = pl.DataFrame({"tags": tags, "price": 1.0, "click": [0, 1, 1, 0, 0, 1, 1], SPLIT: PARTS}, strict=False)
    schema = Schema("toy", (feature, Feature("price", "numeric")), (Task("click"),), {"a": ("click",)}, missing=("NA",))
    return Logs(schema, in_memory({"a": frame}), "f", "toy.csv", allow_one_class=True)


def found(data: EncodedData, split: str) -> tuple[list[list[int]], list[list[float]]]:
    """Ids and shares."""
    rows, (field,) = data.tables["a"].splits[split], data.layout.fields
    assert field.shares == data.layout.numeric == 2
    assert rows.numeric.shape[1] == data.layout.floats == 4
    return rows.table_ids.tolist(), rows.numeric[:, field.shares :].tolist()


def test_ids_and_shares_by_hand() -> None:
    data = encode(logs(), share=False)
    twelve, sixty_five = FIRST_ID, FIRST_ID + 1  # the vocabulary, sorted
    ids, parts = found(data, "train")
    assert ids == [[twelve, sixty_five], [twelve, PADDING], [MISSING_ID, PADDING]]
    assert parts == [[0.25, 0.75], [1, 0], [1, 0]]
    ids, parts = found(data, "validation")  # the third value is cut off; what weighs nothing is missing
    assert ids == [[sixty_five, UNKNOWN_ID], [MISSING_ID, PADDING]]
    assert parts == [[0.25, 0.75], [1, 0]]
    ids, parts = found(data, "test")  # a word for nothing takes its weight along; a value may hold the separator
    assert ids == [[twelve, PADDING], [UNKNOWN_ID, PADDING]]
    assert parts == [[1, 0], [1, 0]]


def test_weights_may_be_huge_or_tiny() -> None:
    weights = pl.Series([[1.7e308, 1.7e308], [5e-324, 5e-324], [1e300, 1.0]])
    assert shares(weights, 2).tolist() == [[0.5, 0.5], [0.5, 0.5], [1, 0]]


@pytest.mark.parametrize("tag", ["12", "12:", "12:x", "12:-1", "12:nan", "12:inf", "12:-inf", "12;3"])
def test_what_has_no_weight_is_refused_with_its_text(tag: str) -> None:
    rows = [*ROWS[:4], ["65:1", tag], None, [tag]]
    wanted = (
        rf"toy.csv: column 'tags' of scenario 'a' holds '{tag}' \(first: row 5 of the scenario\); write value:weight"
    )
    with patch.object(reading, "CHUNK", 2), pytest.raises(UserError, match=wanted):
        encode(logs(rows), share=False)
    encoder = encoder_of(encode(logs(), share=False), "a")
    with pytest.raises(UserError, match=rf"scenario 'a': column 'tags' holds '{tag}' \(first: row 2\); write"):
        encoder.encode(pl.DataFrame({"tags": [["12:1"], [tag]], "price": 1.0}))


def test_text_is_divided_as_lists_are(tmp_path: Path) -> None:
    encoder = encoder_of(encode(logs(), share=False), "a")
    encoder.save(tmp_path / "encoder")
    again = Encoder.load(tmp_path / "encoder")
    texts = pl.DataFrame({"tags": ["12:0.5,65:1.5", "NA", "", "65:1"], "price": 1.0})
    lists = pl.DataFrame({"tags": [["12:0.5", "65:1.5"], None, [], ["65:1"]], "price": 1.0})
    one, other = again.encode(texts), encoder.encode(lists)
    assert one.ids.tolist() == other.ids.tolist()
    assert one.numeric.tolist() == other.numeric.tolist()


@pytest.mark.parametrize("space", [None, IdSpace("hash", 5), IdSpace("ids", 70), IdSpace.of_values(["12", "65"])])
@pytest.mark.parametrize("name", MODELS)
def test_embeddings_are_pooled_by_weight_alone_and_side_by_side(name: str, space: IdSpace | None) -> None:
    weighted = Feature("tags", "multi", space, max_values=2, separator=",", weight_separator=":")
    data = encode(logs(feature=weighted), share=space is not None)
    nested = replace(data.layout, tasks=("click", "buy"), within=(-1, 0))
    model = MODELS[name].model_validate({"name": name, "embedding_dim": 2}).build(nested)
    rows = data.tables["a"].splits["train"]
    parameters = model.initialise(0, "a", data.tables["a"].private_rows, torch.float64)
    table = parameters["shared_embedding" if space else "embedding"][:, :2]  # the first, of several side by side
    read = model.inputs(parameters, _batch(model, parameters, rows))[0]
    ids = rows.table_ids
    assert torch.allclose(read[0, :2], 0.25 * table[ids[0, 0]] + 0.75 * table[ids[0, 1]])
    assert torch.allclose(read[1:, :2], table[ids[1:, 0]])
    tables = parameters["shared_embedding" if space else "embedding"].shape[1] // 2
    assert read.shape[1] == tables * (2 + 2)  # the shares are no input
    beside = predict_each(model, [Weights(parameters)] * 3, [rows, rows.take(slice(1, 2)), rows])
    assert torch.allclose(beside[0], predict(model, parameters, rows))


def _batch(model, parameters, rows):  # type: ignore[no-untyped-def]
    from msmtrec.models.predict import Stacked

    return Stacked(model, [Weights(parameters)]).batch([rows])


def test_own_logs_have_weighted_tags(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {
            "country": ["NL", "FR"] * 10,
            "tags": ["x;1|y;3", "y;2"] * 10,
            "day": [f"2026-01-{n + 1:02d}" for n in range(20)],
            "click": [0, 0, 1, 1] * 5,
        }
    )
    rows.write_csv(tmp_path / "log.csv")
    tags = {"kind": "multi", "separator": "|", "weights": True, "weight_separator": ";", "max_values": 2}
    data = encode(source(tmp_path / "log.csv", features={"tags": tags}, group=...).load(), share=False)
    train = data.tables["NL"].splits["train"]
    assert np.array_equal(train.numeric, [[0.25, 0.75]] * 6)
    assert train.table_ids.tolist() == [[FIRST_ID, FIRST_ID + 1]] * 6


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"kind": "sequence", "weights": True}, "weights needs kind multi"),
        ({"kind": "multi", "weight_separator": ";"}, "weight_separator needs weights: true"),
        ({"kind": "multi", "weights": True, "separator": ":"}, "must be another one than separator"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        source(tmp_path / "log.csv", features={"tags": settings})


def test_what_is_no_list_is_left_to_who_refuses_it() -> None:
    assert parsed(pl.Series([1, 2]), TAGS, ()) is None
    with pytest.raises(UserError, match="'tags' of scenario 'a' holds no lists"):
        encode(logs([1] * 7), share=False)
