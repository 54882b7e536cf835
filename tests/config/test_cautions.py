"""Settings that train but mean less than they seem to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from data.findings.made import encoded, every
from msmtrec.base.errors import UserError
from msmtrec.config.cautions import cautions
from msmtrec.config.parse import parse_config
from msmtrec.data.encode import Variant, encode, encode_all
from msmtrec.data.table import EncodedData
from msmtrec.logs.sources.synthetic import Synthetic


def found(data: EncodedData, row: Any = None, **config: Any) -> tuple[str, ...]:
    raw = {"data": {"source": "synthetic"}, "train": {"local_steps": 1}, "methods": {"row": row}, "seeds": 3, **config}
    parsed = parse_config(raw)
    return cautions(parsed, {c.title: data for candidates in parsed.contenders for c in candidates})


PF = {"method": "pf-msmtrec"}


@pytest.mark.parametrize(
    ("row", "config", "sentence"),
    [
        ({**PF, "options": {"coordination": 0}}, {}, "row: coordination 0 is plain averaging"),
        ({**PF, "options": {"normalization": "literal"}}, {}, "row: normalization literal averages to zero"),
        (
            {**PF, "preset": "paper", "options": {"penalty": 0}},
            {},
            "row: normalization has no effect: in hyper only the penalty",
        ),
        (
            {**PF, "options": {"normalization": "literal", "personalization": "hyper"}},
            {},
            "row: normalization has no effect: in hyper only the penalty",
        ),
        ({**PF, "options": {"beta_keep": 1}}, {}, "row: beta_keep 1 keeps the mixture at beta_start 1 or at 0"),
        ({"method": "ditto", "options": {"penalty": 0}}, {}, "row: penalty 0: the personal model never sees"),
        ({"method": "fedprox", "options": {"penalty": 0}}, {}, "row: penalty 0: nothing holds local steps near"),
        ({"method": "fedbn"}, {}, "row: the network has no batch normalisation, and so nothing that FedBN would keep"),
        (PF, {"model": {"experts": 1}}, "row: with one expert the gates do nothing"),
        (PF, {"model": {"private_experts": 1, "norm": "batch"}}, "row: norm batch with private_experts: a method that"),
        ({"method": "emb-only"}, {"model": {"private_experts": 1}}, "row: private_experts has no effect: no expert"),
        (
            {"method": "fedavg"},
            {"model": {"residual_embeddings": 1}},
            "row: residual_embeddings has no effect but that embeddings of common ids learn faster: none",
        ),
        (
            {**PF, "options": {"alignment": "cosine"}},
            {"model": {"experts": 2, "private_experts": 1}},
            "row: alignment has no effect: the network has one expert to match",
        ),
        (PF, {"train": {"local_steps": 1, "rounds": 5, "patience": 5}}, "row: train.patience 5 is never reached"),
        (
            PF,
            {"train": {"local_steps": 1, "participation": 0.5, "max_staleness": 0}},
            "row: train.max_staleness 0: a scenario that misses",
        ),
        (
            PF,
            {"train": {"local_steps": 1, "batch_size": {"scenario-0": 9999, "scenario-1": 1, "scenario-2": 1}}},
            "row: scenario 'scenario-0' has 630 training rows, its batch is 9999",
        ),
        (PF, {"seeds": 1}, "one seed: no spread"),
    ],
)
def test_a_degenerate_setting_is_said(row: Any, config: dict[str, Any], sentence: str, synthetic: EncodedData) -> None:
    assert [s for s in found(synthetic, row, **config) if s.startswith(sentence)]


RESIDUAL = {"residual_embeddings": 0.3}


def test_a_residual_is_for_a_table_that_travels(synthetic: EncodedData) -> None:
    for row in ({"method": "emb-only"}, {"method": "fedprox", "options": {"embeddings": "shared"}}, PF):
        assert found(synthetic, row, model=RESIDUAL) == ()
    linear = found(synthetic, {"method": "linear", "statistics": {"least": 20}}, model=RESIDUAL)
    assert not any("residual" in one for one in linear)
    logs = Synthetic(scenarios=3, rows=(700, 500, 600), users=40, items=30).load()
    apart = encode_all(logs, {"own": Variant(share=False), "pooled": Variant(share=False, pooled=True)})
    for method, variant in (("emb-only", "own"), ("local", "own"), ("pooled", "pooled")):
        (sentence, *_) = found(apart[variant], {"method": method}, model=RESIDUAL)
        assert sentence == "row: residual_embeddings has no effect: no field of the contender's rows has common ids"


def test_what_belongs_to_one_scenario_and_travels_is_said(synthetic: EncodedData) -> None:
    methods = {name: {"method": name, "model": {"name": "star"}} for name in ("fedavg", "pf-msmtrec", "local")}
    assert found(synthetic, methods=methods) == (
        "fedavg: what star has for each scenario apart (9 tensors, its inputs' means and variances among them) travels:"
        " every scenario receives all others', though it uses its own only",
    )
    assert found(synthetic, {"method": "local", "model": {"name": "star", "momentum": 0}}) == (
        "row: with momentum 0 predictions use means 0 and variances 1, whatever the rows",
    )


@pytest.mark.parametrize("name", ["hinet", "m3oe"])
def test_a_network_that_reads_what_belongs_to_others_receives_it_for_that(name: str, synthetic: EncodedData) -> None:
    (sentence,) = found(synthetic, {"method": "fedavg", "model": {"name": name}})
    assert sentence.endswith("travels: every scenario receives all others'")


def test_esmm_is_for_nested_tasks_over_all_rows(synthetic: EncodedData) -> None:
    esmm = {"method": "local", "model": {"name": "esmm"}}
    assert found(synthetic, esmm) == ()
    apart = replace(synthetic, layout=replace(synthetic.layout, within=(-1, -1)))
    with pytest.raises(
        UserError, match=r"methods\.row: esmm multiplies .* here no task lies within another; declare it"
    ):
        found(apart, esmm)
    train = {name: table.splits["train"] for name, table in synthetic.tables.items()}
    clicked = {n: np.where(rows.labels[:, :1] == 1, rows.labels, [[0, np.nan]]) for n, rows in train.items()}
    absent = {**clicked, "scenario-0": np.where([[True, False]], train["scenario-0"].labels, np.nan)}
    for labels, refused in ((clicked, "scenario-0"), (absent, "scenario-1")):  # who has no conversions has no say
        tables = {
            name: replace(table, splits={**table.splits, "train": replace(train[name], labels=labels[name])})
            for name, table in synthetic.tables.items()
        }
        wanted = (
            rf"methods\.row: esmm learns conversion over all rows, and in '{refused}' no row whose click is 0 has a"
        )
        with pytest.raises(UserError, match=wanted):
            found(replace(synthetic, tables=tables), esmm)


def test_a_batch_of_all_rows_is_silent_and_each_larger_one_is_named(synthetic: EncodedData) -> None:
    sizes = {"scenario-0": 630, "scenario-1": 281, "scenario-2": 420}  # 630, 280 and 420 training rows
    assert found(synthetic, PF, train={"local_steps": 1, "batch_size": sizes}) == (
        "row: scenario 'scenario-1' has 280 training rows, its batch is 281: each step takes all",
    )


def test_a_task_that_a_scenario_lacks_is_said_where_towers_travel(synthetic: EncodedData) -> None:
    scenarios = {**synthetic.schema.scenarios, "scenario-1": ("click",)}
    data = replace(synthetic, schema=replace(synthetic.schema, scenarios=scenarios))
    assert found(data, methods=["local", "fedavg", "fedrep", "pf-msmtrec"]) == (
        "fedavg, pf-msmtrec: scenario 'scenario-1' has no task 'conversion' and gets the other scenarios' mean tower"
        " for it (zero-shot); no figure here measures that",
    )


def test_balancing_one_task_is_said(synthetic: EncodedData) -> None:
    schema, layout = synthetic.schema, synthetic.layout
    names = schema.task_names[:1]
    one = replace(
        synthetic,
        schema=replace(schema, tasks=schema.tasks[:1], scenarios=dict.fromkeys(schema.scenarios, names)),
        layout=replace(layout, tasks=layout.tasks[:1]),
    )
    train = {"local_steps": 1, "balance": "mgda"}
    said = "row: train.balance mgda has no effect: there is one task"
    assert said in found(one, {"method": "fedavg"}, train=train)
    assert found(synthetic, {"method": "fedavg"}, train=train) == ()


def test_statistics_without_days_are_said_and_what_cannot_be_counted_is_refused(synthetic: EncodedData) -> None:
    (said,) = found(synthetic, {"method": "local", "statistics": {"fields": ["user"]}})
    assert said.startswith("row: training rows read statistics of ids from blocks of rows of any time")
    with pytest.raises(UserError, match=r"methods\.row: statistics: no field has 9000 values or more"):
        found(synthetic, {"method": "local", "statistics": {"least": 9000}})
    with pytest.raises(UserError, match=r"methods\.row: statistics\.history: days, but these logs have no times"):
        found(synthetic, {"method": "local", "statistics": {"fields": ["user"], "history": "days"}})
    with pytest.raises(
        UserError, match=r"methods\.row: statistics\.decay: 0\.9 is by days, and these logs have no times"
    ):
        found(synthetic, {"method": "local", "statistics": {"fields": ["user"], "decay": 0.9}})
    with pytest.raises(UserError, match=r"methods\.row\.statistics: decay: 0\.9 is by days, and blocks have no order"):
        found(synthetic, {"method": "local", "statistics": {"history": "blocks", "decay": 0.9}})
    with pytest.raises(UserError, match=r"methods\.row: statistics\.summed: 'item' is no field that is counted"):
        found(synthetic, {"method": "emb-only", "statistics": {"fields": ["user"], "summed": ["item"]}})


def test_sound_settings_are_silent(synthetic: EncodedData) -> None:
    methods = {"local": None, "fedavg": None, "paper": {**PF, "preset": "paper"}, "recommended": PF}
    assert found(synthetic, methods=methods) == ()


def test_one_scenario_has_nobody_to_learn_from_but_local_training_has_not_either() -> None:
    data = encode(Synthetic(scenarios=1, rows=600, users=60, items=40).load(), share=True)
    assert found(data, methods=["local", "fedavg", "emb-only"]) == (
        "fedavg, emb-only: with one scenario there is nobody to learn from; this is local training",
    )


def test_unequal_numbers_of_candidates_are_said(synthetic: EncodedData) -> None:
    own = {"fedavg": {"tune": {"options.clip": [1.0, 2.0]}}, "local": None, "emb-only": None}
    grid = {"train.learning_rate": [0.1, 0.2]}
    assert found(synthetic, methods=own, tune=grid, tune_candidates=4) == (
        "unequal numbers of candidates: 4 for fedavg; 2 for local, emb-only; more candidates have more chances on"
        " validation rows",
    )
    assert found(synthetic, methods=["fedavg", "local"], tune=grid) == ()


def test_every_candidate_is_looked_at_and_a_contender_named_once(synthetic: EncodedData) -> None:
    grid = {"model.experts": [2, 1], "train.learning_rate": [0.1, 0.2]}
    assert found(synthetic, methods=["local"], tune=grid) == ("local: with one expert the gates do nothing",)


def test_what_was_found_in_the_rows_is_said_once_for_everybody_who_sees_it() -> None:
    def padded(rows: pl.DataFrame) -> pl.DataFrame:
        return every("user", "NULL", 50)(rows.with_columns(pl.col("item").str.zfill(5)))

    raw = {"data": {"source": "synthetic"}, "train": {"local_steps": 1}, "methods": ["local", "fedavg-all"], "seeds": 3}
    parsed = parse_config(raw)
    seen = {"local": encoded(padded), "fedavg-all": encoded(padded, share=True)}  # shared buckets have no values
    said = cautions(parsed, {c.title: seen[c.name] for candidates in parsed.contenders for c in candidates})
    assert said[0].startswith("local: shared column 'item': 100 % of the values of scenario 'FR'")
    assert said[1].startswith("column 'user' of scenario 'FR' holds 'NULL' 12 times")
    assert len(said) == 2
