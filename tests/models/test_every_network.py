"""What holds for every network, small ones of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.networks import NETWORKS
from models.plain import plain_ple, plain_star
from models.plain_scenarios import plain_hinet, plain_m2m, plain_m3oe, plain_pepnet, plain_stem
from models.plain_tasks import plain_aitm, plain_esmm, plain_shared_bottom, plain_single_task
from models.small import LAYOUT, PRIVATE_ROWS, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.base.errors import UserError
from msmtrec.base.roles import TABLES, Role
from msmtrec.data.table import Field, Layout, Rows
from msmtrec.models import MODELS
from msmtrec.models.base import Model, Pass
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.reference import reference_forward

TASKS = len(LAYOUT.tasks)


def plain_mmoe(layout: Layout, settings: Any, params: Any, data: Rows) -> Tensor:
    numeric = torch.from_numpy(data.numeric).double()
    return reference_forward(layout, settings, params, torch.from_numpy(data.ids), numeric)


PLAIN: dict[str, Callable[..., Any]] = {
    "mmoe": plain_mmoe,
    "ple": plain_ple,
    "star": plain_star,
    "single-task": plain_single_task,
    "shared-bottom": plain_shared_bottom,
    "esmm": plain_esmm,
    "aitm": lambda *given: plain_aitm(*given)[0],
    "pepnet": plain_pepnet,
    "hinet": plain_hinet,
    "stem": plain_stem,
    "m2m": plain_m2m,
    "m3oe": plain_m3oe,
}
pytestmark = pytest.mark.parametrize("name", NETWORKS)


def test_predictions_do_not_depend_on_the_batch(name: str) -> None:
    """With the defaults, and small."""
    for settings in (NETWORKS[name], MODELS[name]()):
        model, params = scrambled(settings)
        assert depends_on_the_batch(model, params, rows(20)) < 1e-6


def test_gradients_are_those_of_the_plain_reference(name: str) -> None:
    """With the places where gradients stop."""
    model, params = scrambled(NETWORKS[name])
    found, _ = gradients(model, params, rows(6), training=False)
    leaves = {n: params[n].clone().requires_grad_() for n in found}
    with torch.enable_grad():
        logits = PLAIN[name](LAYOUT, NETWORKS[name], {**params, **leaves}, rows(6))
        wanted = torch.autograd.grad(logits.square().sum(), list(leaves.values()))
    for n, gradient in zip(leaves, wanted, strict=True):
        assert torch.allclose(found[n], gradient, atol=1e-10), n


def test_every_unit_of_every_parameter_learns(name: str) -> None:
    model, params = scrambled(NETWORKS[name])
    assert unread(model, gradients(model, params, rows(200))[0]) == []


def test_with_one_scenarios_rows_only_what_belongs_to_others_learns_nothing(name: str) -> None:
    """Where rows go through other scenarios' experts these learn too."""
    model, params = scrambled(NETWORKS[name])
    found, _ = gradients(model, params, replace(rows(200), scenario=np.full(200, 1)))
    for d in model.declare():
        if not d.trained:
            continue
        silent = found[d.name].reshape(len(found[d.name]), -1).abs().amax(1) == 0
        if d.owners and not (model.reads_others and d.name.startswith("own.")):
            assert silent.tolist() == [True, False, True], d.name
        elif d.role not in TABLES and len(d.shape) > 1:
            assert not silent.any(), d.name


def some(layout: Layout) -> Rows:
    """Rows for a layout with fewer fields or tasks."""
    found = rows(8)
    ids, labels = found.ids[:, : layout.columns], found.labels[:, : len(layout.tasks)]
    return replace(found, ids=ids, labels=labels, numeric=found.numeric[:, : layout.numeric], scenario=np.zeros(8, int))


FEWER = {
    "one scenario": replace(LAYOUT, scenarios=("a",)),
    "two scenarios": replace(LAYOUT, scenarios=("a", "b")),
    "three tasks": replace(LAYOUT, tasks=("click", "like", "buy"), within=(-1, 0, 1)),
    "one task": replace(LAYOUT, tasks=("click",), within=(-1,)),
    "no numerics": replace(LAYOUT, numeric=0),
    "private fields": replace(LAYOUT, fields=(Field("user", 0, 1, False),), shared_rows=0),
    "no fields": replace(LAYOUT, fields=(), shared_rows=0),
}


@pytest.mark.parametrize("layout", FEWER)
def test_every_parameter_is_part_of_the_graph_whatever_is_not_there(name: str, layout: str) -> None:
    """Gradients are asked for of each: `torch.autograd.grad` refuses one that has no part in the loss."""
    if name == "esmm" and layout == "one task":
        with pytest.raises(UserError, match="no task lies within another"):
            NETWORKS[name].build(FEWER[layout])
        return
    model = NETWORKS[name].build(FEWER[layout])
    params = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    leaves = {d.name: params[d.name].requires_grad_() for d in model.declare() if d.trained}
    stacked = Stacked(model, [Weights(params)])
    if FEWER[layout].scenarios == ("a",):
        assert all(len(d.owners) <= 1 for d in model.declare())
    with torch.enable_grad():
        logits = model.forward(stacked.parameters, Pass(stacked.batch([some(FEWER[layout])]), training=True))
        torch.autograd.grad(logits.square().sum(), list(leaves.values()))
    assert logits.shape == (1, 8, len(FEWER[layout].tasks))


def test_logits_start_from_those_that_rows_bring_along(name: str) -> None:
    model, params = scrambled(NETWORKS[name])
    offset = np.random.default_rng(0).normal(size=(9, TASKS)).astype(np.float32)
    with_, without = predict(model, params, replace(rows(9), offset=offset)), predict(model, params, rows(9))
    assert torch.allclose(with_, without + torch.from_numpy(offset).double(), atol=1e-12)


def training(model: Model, members: list[dict[str, Tensor]], data: list[Rows]) -> tuple[Tensor, Tensor, Pass]:
    """Logits, further losses [K], and the pass."""
    stacked = Stacked(model, [Weights(params) for params in members])

    def dropout(shape: tuple[int, ...], rate: float, site: str) -> Tensor:
        assert rate == 0.2
        assert len(shape) == 4
        assert (shape[0], shape[3]) == (len(members), max(map(len, data)))
        return torch.zeros(shape, dtype=torch.bool)

    forward = Pass(stacked.batch(data), training=True, dropout=dropout)
    logits = model.forward(stacked.parameters, forward)
    return logits, sum(forward.losses, start=torch.zeros(len(members), dtype=logits.dtype)), forward


def test_members_side_by_side_are_members_alone(name: str) -> None:
    """Also in training, with batches of unequal size and different scenarios."""
    model, one = scrambled(NETWORKS[name])
    other = {n: p.flip(0) if n.endswith("variance") else p * 0.7 for n, p in one.items()}
    data = [rows(11), replace(rows(7, seed=1), scenario=np.full(7, 2))]
    logits, losses, forward = training(model, [one, other], data)
    for k, params in enumerate((one, other)):
        alone, loss, own = training(model, [params], data[k : k + 1])
        assert torch.allclose(logits[k, : len(data[k])], alone[0], atol=1e-12)
        assert torch.allclose(losses[k], loss[0], atol=1e-12)
        assert own.statistics.keys() == forward.statistics.keys()
        for n, value in own.statistics.items():
            assert torch.allclose(forward.statistics[n][k], value[0], atol=1e-12)


def test_dropout_is_drawn_after_expert_layers_while_training_and_never_in_a_gate(name: str) -> None:
    model, params = scrambled(NETWORKS[name])
    data, sites = replace(rows(9), scenario=np.full(9, 1)), list[str]()

    def all_off(shape: tuple[int, ...], rate: float, site: str) -> Tensor:
        sites.append(site)
        return torch.ones(shape, dtype=torch.bool)

    stacked = Stacked(model, [Weights(params)])
    forward = Pass(stacked.batch([data]), training=True, dropout=all_off)
    logits = model.forward(stacked.parameters, forward)
    assert bool(sites) is (name != "star")  # which has none
    assert len(set(sites)) == len(sites)  # one name is one mask
    assert not any("gate" in site for site in sites)
    if sites:
        assert float((logits - logits[:, :1]).abs().max()) < 1e-12  # nothing of a row gets past its experts


def test_evaluation_leaves_neither_statistics_nor_losses(name: str) -> None:
    model, params = scrambled(NETWORKS[name])
    _, forward = gradients(model, params, rows(12), training=False)
    assert (forward.statistics, forward.losses) == ({}, [])


def test_no_gate_is_a_softmax_over_one(name: str) -> None:
    """Where a gate mixes its last axis, with the defaults; others are scores of each expert, 0 to 2, or tables."""
    mixing = {"gate", "shared_gate", "others"}
    model = MODELS[name]().build(LAYOUT)
    gates = [d for d in model.declare() if d.role is Role.GATE and d.name.split(".")[-1] in mixing]
    assert all((d.shape[-1] or 0) >= 2 for d in gates)


def test_a_served_network_knows_its_scenario(name: str) -> None:
    """Rows need no number then, and get the scores that they have among pooled rows."""
    model, params = scrambled(NETWORKS[name])
    data = replace(rows(9), scenario=np.full(9, 2))
    served, held = model.folded(params, 2)
    found = predict(served, held, replace(data, scenario=None))
    assert torch.allclose(found, predict(model, params, data), atol=1e-12)
    assert not served.reads_scenario


def test_parts_are_the_whole(name: str) -> None:
    """Held-out mixtures ask `inputs`, `body` and `logits` one by one."""
    model, params = scrambled(NETWORKS[name])
    stacked = Stacked(model, [Weights(params)])
    forward = Pass(stacked.batch([rows(9)]))
    x = model.inputs(stacked.parameters, forward.batch)
    found = model.logits(stacked.parameters, model.body(stacked.parameters, x, forward), forward)
    assert torch.equal(found, model.forward(stacked.parameters, forward))


def test_attributes_say_which_scenarios_matter(name: str) -> None:
    model, params = scrambled(NETWORKS[name])
    one, two = (predict(model, params, replace(rows(9), scenario=np.full(9, number))) for number in (0, 2))
    assert torch.equal(one, two) is not model.reads_scenario
    assert any(d.owners for d in model.declare()) is model.reads_scenario
    moved = dict(params)
    for d in model.declare():
        if d.owners:
            moved[d.name] = params[d.name].clone()
            moved[d.name][[1, 2]] += 1
    data = replace(rows(9), scenario=np.zeros(9, int))
    assert torch.equal(predict(model, params, data), predict(model, moved, data)) is not model.reads_others
