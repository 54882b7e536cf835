from dataclasses import replace

import numpy as np
import pytest
import torch

from models.plain_scenarios import plain_m3oe
from models.small import LAYOUT, gradients, rows, scrambled
from msmtrec.models.predict import predict
from msmtrec.models.settings.m3oe import M3oESettings

SMALL = M3oESettings(
    embedding_dim=3, star_layer=6, fused_layer=5, experts=3, expert_layers=(4, 3), tower_layers=(4,), own_scenario=0.7
)


@pytest.mark.parametrize("scenarios", [1, 2, 3])
@pytest.mark.parametrize("tasks", [1, 2])
def test_equals_the_plain_reference_in_float64(scenarios: int, tasks: int) -> None:
    layout = replace(LAYOUT, scenarios=LAYOUT.scenarios[:scenarios], tasks=LAYOUT.tasks[:tasks])
    settings = SMALL.model_copy(update={"own_task": 0.2, "scenario_weight": 0.9, "task_weight": 0.3})
    model, params = scrambled(settings, layout)
    data = replace(rows(12), scenario=np.arange(12) % scenarios)
    assert (predict(model, params, data) - plain_m3oe(layout, settings, params, data)).abs().max() < 1e-10


def test_every_weight_changes_the_result_and_none_is_trained() -> None:
    model, params = scrambled(SMALL)
    before = predict(model, params, rows(9))
    for name in ("scenario_weight", "task_weight", "own_scenario", "own_task"):
        other = SMALL.model_copy(update={name: 0.25}).build(LAYOUT)
        assert not torch.allclose(predict(other, params, rows(9)), before), name
        assert name not in params


def test_gates_do_not_train_what_they_read() -> None:
    """Where all shared experts are one, gates cannot matter; else they learn, and nothing below learns by them."""
    model, params = scrambled(SMALL)
    assert float(gradients(model, params, rows(40))[0]["gate"].abs().min()) > 0
    still = dict(params)
    for n in ("shared", "own", "task"):  # constant experts: what they read reaches the logits by the gates alone
        still[f"{n}.0.weight"] = torch.zeros_like(params[f"{n}.0.weight"])
        still[f"{n}.0.bias"] = params[f"{n}.0.bias"].abs() + 0.1
    found, _ = gradients(model, still, rows(40))
    assert float(found["gate"].abs().max()) > 0
    for name in ("embedding", "star.weight", "fuse.weight", "skip.weight"):
        assert float(found[name].abs().max()) == 0, name


def test_degenerate_weights_are_said() -> None:
    assert list(M3oESettings().cautions()) == []
    assert list(M3oESettings(scenario_weight=0, own_scenario=0).cautions()) == [
        "with scenario_weight 0 the scenarios' experts do nothing"
    ]
    assert list(M3oESettings(own_task=0).cautions()) == [
        "with own_task 0 a row goes through the other tasks' experts only"
    ]
