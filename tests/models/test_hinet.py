from dataclasses import replace

import numpy as np
import pytest
import torch

from models.plain_scenarios import plain_hinet
from models.small import LAYOUT, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.base.roles import Role
from msmtrec.models.predict import predict
from msmtrec.models.settings.hinet import HiNetSettings

SMALL = HiNetSettings(
    embedding_dim=3, expert_layers=(6, 5), task_layers=(4,), tower_layers=(3,), shared_experts=2, task_experts=1
)


@pytest.mark.parametrize("scenarios", [1, 2, 3])
def test_equals_the_plain_reference_in_float64(scenarios: int) -> None:
    layout = replace(LAYOUT, scenarios=LAYOUT.scenarios[:scenarios])
    model, params = scrambled(SMALL, layout)
    data = replace(rows(12), scenario=np.arange(12) % scenarios)
    assert (predict(model, params, data) - plain_hinet(layout, SMALL, params, data)).abs().max() < 1e-10


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


@pytest.mark.parametrize("scenarios", [1, 2, 3])
def test_no_softmax_has_one_entry(scenarios: int) -> None:
    least = HiNetSettings(embedding_dim=3, sub_experts=2, shared_experts=1, task_experts=1)
    model = least.build(replace(LAYOUT, scenarios=LAYOUT.scenarios[:scenarios]))
    gates = {d.name: d.shape[-1] for d in model.declare() if d.role is Role.GATE and d.name != "scenario"}
    assert ("others" in gates) is (scenarios > 2)
    assert gates.pop("others", 3) - 1 >= 2  # all but its own
    assert set(gates.values()) == {2}
    with pytest.raises(ValueError, match="sub_experts"):
        HiNetSettings(sub_experts=1)


def test_a_scenario_attends_to_the_others_and_never_to_its_own_expert() -> None:
    model, params = scrambled(SMALL)
    shares = model._others({n: params[n].unsqueeze(0) for n in ("scenario", "others")}, params["scenario"])[0]
    assert shares.diagonal().tolist() == [0, 0, 0]
    assert torch.allclose(shares.sum(1), torch.ones(3).double())
    data = replace(rows(9), scenario=np.full(9, 1))
    for own in range(3):  # rows go through every scenario's expert
        moved = {**params, "own.0.weight": params["own.0.weight"].clone()}
        moved["own.0.weight"][own] += 1
        assert not torch.allclose(predict(model, params, data), predict(model, moved, data))
    moved = {**params, "scenario": params["scenario"].clone()}
    moved["scenario"][[0, 2]] += 1
    assert torch.equal(predict(model, params, data), predict(model, moved, data))
