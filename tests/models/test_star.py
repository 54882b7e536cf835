from dataclasses import replace

import numpy as np
import pytest
import torch

from models.plain import plain_star
from models.small import LAYOUT, PRIVATE_ROWS, depends_on_the_batch, gradients, rows, scrambled
from msmtrec.base.roles import Role
from msmtrec.data.table import Rows
from msmtrec.models.base import Pass
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.star import STARSettings

SMALL = STARSettings(embedding_dim=3, layers=(6, 5), tower_layers=(4,), auxiliary_layer=3)
BUFFERS = {"norm.own.mean", "norm.own.variance"}


def of(scenarios: list[int]) -> Rows:
    return replace(rows(len(scenarios)), scenario=np.array(scenarios))


@pytest.mark.parametrize("towers", [(), (4,)])
@pytest.mark.parametrize("layers", [(6,), (6, 5)])
@pytest.mark.parametrize("scenarios", [None, [0] * 12, [2] * 12])
def test_equals_the_plain_reference_in_float64(
    towers: tuple[int, ...], layers: tuple[int, ...], scenarios: list[int] | None
) -> None:
    settings = SMALL.model_copy(update={"tower_layers": towers, "layers": layers})
    model, params = scrambled(settings)
    data = of(scenarios) if scenarios else rows(12)
    assert (predict(model, params, data) - plain_star(LAYOUT, settings, params, data)).abs().max() < 1e-10


@pytest.mark.parametrize("scenarios", [[0, 2, 2, 0, 1, 1, 0, 2, 2, 1], [0] * 9 + [1], [1, 1]])
def test_in_training_each_scenarios_rows_are_normalised_together(scenarios: list[int]) -> None:
    """Also where a scenario has a single row (its running moments) or none."""
    model, params = scrambled(SMALL)
    data = of(scenarios)
    stacked = Stacked(model, [Weights(params)])
    forward = Pass(stacked.batch([data]), training=True)
    logits = model.forward(stacked.parameters, forward)[0]
    assert (logits - plain_star(LAYOUT, SMALL, params, data, training=True)).abs().max() < 1e-10
    assert forward.statistics.keys() == BUFFERS
    for name in BUFFERS:
        moved = (forward.statistics[name][0] != params[name]).any(1).tolist()
        assert moved == [scenarios.count(d) > 1 for d in range(3)], name


def test_every_parameter_of_every_scenario_gets_a_gradient_and_buffers_none() -> None:
    model, params = scrambled(SMALL)
    found, forward = gradients(model, params, rows(64))
    assert params.keys() - found.keys() == BUFFERS
    assert not any(value.requires_grad for value in forward.statistics.values())
    for d in model.declare():
        if d.trained and "embedding" not in d.name:
            each = found[d.name].flatten(1) if len(d.shape) > 1 else found[d.name].unsqueeze(1)
            assert each.abs().amax(1).min() > 0, d.name  # each scenario's, each task's


def test_evaluation_changes_no_buffer_and_does_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert gradients(model, params, rows(30), training=False)[1].statistics == {}
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


def test_another_scenarios_slices_do_not_matter() -> None:
    model, params = scrambled(SMALL)
    data = of([1] * 8)
    moved = {n: p.clone() for n, p in params.items()}
    own = [d.name for d in model.declare() if d.owners]
    assert len(own) == 9
    for name in own:
        moved[name][[0, 2]] += 1
    assert torch.equal(predict(model, params, data), predict(model, moved, data))
    for name in own:
        one = {**params, name: params[name] + 0.5}
        assert not torch.allclose(predict(model, params, data), predict(model, one, data)), name


def test_all_scenarios_start_as_one_network_but_for_the_embedding() -> None:
    model = SMALL.build(LAYOUT)
    params = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    params["scenario"] = torch.zeros_like(params["scenario"])
    one, two = (predict(model, params, of([d] * 5)) for d in (0, 2))
    assert torch.allclose(one, two)


def test_roles() -> None:
    model = SMALL.build(LAYOUT)
    assert {n for n, role in model.roles().items() if role is Role.NORM_STATISTICS} == BUFFERS
    assert {d.name for d in model.declare() if not d.trained} == BUFFERS
    assert all(d.shape[0] == 3 and d.owners == LAYOUT.scenarios for d in model.declare() if ".own." in d.name)


def test_rows_without_a_scenario_are_no_rows_of_the_first() -> None:
    model, params = scrambled(SMALL)
    with pytest.raises(ValueError, match="reads each row's scenario; these rows have none"):
        predict(model, params, replace(rows(3), scenario=None))
    lone = SMALL.build(replace(LAYOUT, scenarios=()))
    start = lone.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    assert predict(lone, start, replace(rows(3), scenario=None)).shape == (3, 2)
