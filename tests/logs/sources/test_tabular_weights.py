"""Settings that say how much rows count: what is refused, what is said, what the schema gets."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from logs.sources.tabular import ROWS, source
from msmtrec.base.errors import UserError
from msmtrec.base.schema import Task
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.logs.sources.sql import Sql

SAMPLED = {"click": {"negatives_kept": 0.1}, "buy": {"within": "click"}}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    rows = ROWS.with_columns(buy=pl.col("click") * (pl.int_range(20) % 3 > 0), w=pl.lit(1.5))
    rows.write_csv(tmp_path / "logs.csv")
    return tmp_path / "logs.csv"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"weight": "click"}, r"weight: column 'click' is also a label \(leakage\); take another column"),
        ({"weight": "price"}, r"weight: column 'price' is also a feature"),
        ({"weight": "day"}, r"weight: column 'day' is also what decides the split"),
        ({"weight": "country"}, r"weight: column 'country' is also what names the scenario"),
        (
            {"weight": "user", "features": {"price": {"kind": "numeric"}}},
            r"column 'user' is also what names the scenario",
        ),
        (
            {"weight": "w", "features": {"both": {"cross": ["user", "w"]}, "user": None}},
            r"weight: column 'w' is also a feature",
        ),
        ({"weight": "__w"}, r"column '__w': names that begin with two underscores"),
        ({"weight": "weigth"}, r"logs.csv has no column 'weigth'"),
        ({"tasks": {"click": {"negatives_kept": 0}}}, r"negatives_kept"),
        ({"tasks": {"click": {"negatives_kept": 1.2}}}, r"negatives_kept"),
        (
            {"tasks": {"click": None, "buy": {"within": "click", "negatives_kept": 0.5}}},
            r"task 'buy' has negatives_kept and lies within 'click', .* weights of 1 / kept",
        ),
        (
            {"tasks": {"click": {"negatives_kept": 0.1, "scenarios": ["NL"]}, "buy": {"within": "click"}}},
            r"scenario 'FR' has task 'buy' without 'click', by whose label its rows were sampled",
        ),
    ],
)
def test_what_does_not_fit_is_refused(csv: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        source(csv, **changes).load()


def test_what_a_reader_must_know_is_said(csv: Path) -> None:
    assert list(source(csv).cautions()) == []
    weight, kept, other, both = source(csv, weight="w", tasks={**SAMPLED, "like": {"column": "w2"}}).cautions()
    assert weight == "rows count by their weight 'w', in losses, figures and tests"
    assert kept.startswith("negatives_kept of 'click': probabilities, test figures and calibration are of all rows")
    assert other.startswith("negatives_kept of 'click' says nothing of 'like', which does not lie within")
    assert both.startswith("weights and negatives_kept are both given")
    raw = {"source": "sql", "engine": "duckdb", "query": "SELECT 1 ORDER BY 1", "scenario": "country"}
    more = {"tasks": {"click": None}, "features": {"user": None}, "split": {"fractions": [0.6, 0.2, 0.2]}}
    assert list(build(Sql, {**raw, **more, "weight": "w"}, "data").cautions()) == [weight]


@pytest.mark.parametrize("given", [False, True])
def test_an_encoder_knows_which_labels_the_sampling_touches(csv: Path, given: bool, tmp_path: Path) -> None:
    """A conversion that is known for clicks only is not touched."""
    if given:
        pl.read_csv(csv).with_columns(buy=pl.when(pl.col("click") == 1).then("buy")).write_csv(csv)
    logs = source(csv, tasks=SAMPLED, allow_one_class=True).load()
    assert logs.schema.tasks[0] == Task("click", "click", negatives_kept=0.1)
    for scenario in ("NL", "FR"):
        click, buy = encoder_of(encode(logs, share=False, cache=tmp_path / "cache"), scenario).schema.tasks
        assert (click.conditional, buy.conditional) == (False, given)
