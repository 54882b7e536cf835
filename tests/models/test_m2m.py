from dataclasses import replace

import numpy as np
import pytest
import torch

from models.plain_scenarios import plain_m2m
from models.small import LAYOUT, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.base.roles import Role
from msmtrec.models.predict import predict
from msmtrec.models.settings.m2m import M2MSettings

SMALL = M2MSettings(
    embedding_dim=3, experts=3, expert_layers=(6, 5), scenario_layer=4, attention_layer=3, meta_layers=2
)


@pytest.mark.parametrize("meta", [1, 2])
@pytest.mark.parametrize("scenarios", [None, [2] * 12])
def test_equals_the_plain_reference_in_float64(meta: int, scenarios: list[int] | None) -> None:
    settings = SMALL.model_copy(update={"meta_layers": meta})
    model, params = scrambled(settings)
    data = replace(rows(12), scenario=np.array(scenarios)) if scenarios else rows(12)
    assert (predict(model, params, data) - plain_m2m(LAYOUT, settings, params, data)).abs().max() < 1e-10


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    """Attention over the batch would score a row by the rows beside it."""
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


def test_attention_is_over_experts() -> None:
    """Where all experts are one, it cannot matter; there are at least two."""
    model, params = scrambled(SMALL)
    same = dict(params)
    for d in model.declare():
        if d.role is Role.EXPERT_SCENARIO:
            same[d.name] = params[d.name][:1].expand_as(params[d.name]).clone()
    for held, matters in ((same, False), (params, True)):
        moved = {**held, "attention.score": -held["attention.score"]}
        assert torch.allclose(predict(model, held, rows(9)), predict(model, moved, rows(9))) is not matters
    with pytest.raises(ValueError, match="experts"):
        M2MSettings(experts=1)


def test_weights_are_computed_from_the_rows_scenario() -> None:
    model, params = scrambled(SMALL)
    data = replace(rows(9), scenario=np.full(9, 1))
    for number, matters in ((0, False), (1, True)):
        moved = {**params, "scenario": params["scenario"].clone()}
        moved["scenario"][number] += 1
        assert torch.allclose(predict(model, params, data), predict(model, moved, data)) is not matters
