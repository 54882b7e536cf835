"""Behind a linear head every network starts as nothing: without its outputs all rows have the same logits."""

from __future__ import annotations

import pytest
import torch

from models.networks import NETWORKS
from msmtrec.data.table import EncodedData
from msmtrec.models.predict import predict


@pytest.mark.parametrize("network", NETWORKS)
def test_without_outputs_all_rows_are_alike(network: str, synthetic: EncodedData) -> None:
    model, name = NETWORKS[network].build(synthetic.layout), synthetic.scenarios[1]
    table, kind = synthetic.tables[name], torch.float64
    first = model.initialise(3, name, table.private_rows, kind)
    outputs = model.drawn_outputs(3, kind)
    assert outputs
    assert all(torch.equal(value, first[out]) for out, value in outputs.items())
    rows = table.splits["validation"]
    assert predict(model, first, rows).std(0).min() > 0
    logits = predict(model, first | {out: torch.zeros_like(value) for out, value in outputs.items()}, rows)
    assert torch.equal(logits, logits[:1].expand_as(logits))
    assert network == "esmm" or not logits.any()  # a product of probabilities of .5
