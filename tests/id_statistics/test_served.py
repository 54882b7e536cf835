"""A served network looks up by id what training read from histories: the same logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from id_statistics.test_encoded import logs
from msmtrec.data.encode import encode
from msmtrec.data.logs import in_memory
from msmtrec.data.table import EncodedData
from msmtrec.models.beside import beside
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.statistics.encoded import Statistics, with_statistics
from msmtrec.statistics.fitting import fit_all
from msmtrec.statistics.settings import StatisticsSettings

SMALL = MMoESettings(template=True, embedding_dim=2, experts=2, expert_layers=(3,), tower_layers=(), norm="batch")


def same(data: EncodedData, settings: StatisticsSettings) -> None:
    fitted, numeric = fit_all(data, settings), data.layout.numeric
    trained = with_statistics(data, Statistics(data.layout, fitted))
    inner = SMALL.build(trained.layout)
    for name, own in fitted.items():
        parameters = inner.initialise(0, name, data.tables[name].private_rows, torch.float32)
        served, found = own.served(data.layout, inner)
        again = beside(data.layout, SMALL.build, served.described())
        assert again.declare() == served.declare()
        assert {d.name: d.shape for d in served.declare() if d.name in found} == {n: v.shape for n, v in found.items()}
        assert served.roles().keys() == {*parameters, *found}
        with pytest.raises(NotImplementedError, match="asked whole"):
            served.inputs(parameters, Stacked(inner, [Weights(parameters)]).batch([data.tables[name].splits["test"]]))
        for split, rows in data.tables[name].splits.items():
            raw = replace(rows, ids=rows.table_ids, used=None, unit=None)
            wanted = predict(inner, parameters, own(raw, numeric))
            given = predict(served, parameters | found, raw)
            assert (wanted - given).abs().max() < 1e-5, (name, split)
            folded, held = served.folded(parameters | found)
            assert (predict(folded, held, raw) - wanted).abs().max() < 1e-5
            if split == "test":  # after all training rows, so that rows with a unit read the same
                assert (predict(inner, parameters, trained.tables[name].splits["test"]) - given).abs().max() < 1e-5


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize(("wide", "inputs"), [("offset", False), ("offset", True), ("none", True)])
def test_by_id_is_by_history(share: bool, wide: str, inputs: bool) -> None:
    settings = StatisticsSettings(fields=("item", "segment", "user"), wide=wide, inputs=inputs)
    same(encode(logs(), share=share), settings)


def test_values_that_only_another_scenario_has_seen() -> None:
    """They have a history all the same, of the sums."""
    plain = logs()
    frames = {name: plain.frame(name) for name in plain.schema.scenarios}
    other, name, *_ = frames
    frames[name] = frames[name].filter(pl.col("user").cast(pl.Int64) % 2 == 0)
    data = encode(replace(plain, stream=in_memory(frames)), share=True)
    settings = StatisticsSettings(fields=("user",))
    same(data, settings)
    field = next(field for field in data.layout.fields if field.name == "user")
    strangers = data.tables[other].splits["test"]
    strangers = replace(strangers, ids=strangers.table_ids, used=None)
    own = data.tables[name].splits["train"].table_ids[:, field.start]
    unseen = ~np.isin(strangers.ids[:, field.start], own)
    assert unseen.any()
    read = fit_all(data, settings)[name].readout(strangers)
    assert read[unseen][:, 3].all()  # nothing of its own
    assert not read[unseen][:, 7].any()
