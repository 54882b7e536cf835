from typing import Literal

import pytest
import torch
from pydantic import ValidationError

from models.small import LAYOUT, PRIVATE_ROWS, gradients, rows, scrambled
from msmtrec.base.roles import FITTED, Role
from msmtrec.data.table import EncodedData
from msmtrec.models.base import Pass
from msmtrec.models.predict import Stacked, Weights, predict, predict_each
from msmtrec.models.reference import reference_forward
from msmtrec.models.settings.mmoe import MMoESettings


@pytest.mark.parametrize("residual", [0.0, 0.3])
@pytest.mark.parametrize("private", [0, 1, 2])
@pytest.mark.parametrize("template", [True, False])
@pytest.mark.parametrize("layers", [(6,), (6, 5), (6, 5, 3)])
def test_equals_the_plain_reference_in_float64(
    template: bool, layers: tuple[int, ...], private: int, residual: float
) -> None:
    shape = {"embedding_dim": 3, "experts": 3, "expert_layers": layers, "tower_layers": (4,)}
    shape |= {"template": template, "private_experts": private, "residual_embeddings": residual}
    settings = MMoESettings.model_validate(shape)
    model, params = scrambled(settings)
    data = rows(12)
    fast = predict(model, params, data)
    plain = reference_forward(
        LAYOUT, settings, params, torch.from_numpy(data.ids), torch.from_numpy(data.numeric).double()
    )
    assert (fast - plain).abs().max() < 1e-10


def test_every_parameter_has_a_role_and_gets_a_gradient() -> None:
    shape = {"embedding_dim": 3, "experts": 3, "private_experts": 1, "expert_layers": (6, 5)}
    settings = MMoESettings.model_validate({**shape, "template": True, "residual_embeddings": 0.3})
    model, params = scrambled(settings)
    assert set(model.roles().values()) == set(Role) - {Role.NORM_AFFINE, Role.NORM_STATISTICS, Role.TREES, *FITTED}
    leaves = {n: p.clone().requires_grad_() for n, p in params.items()}
    data = rows(64)
    with torch.enable_grad():
        stacked = Stacked(model, [Weights(leaves)])
        logits = model.forward(stacked.parameters, Pass(stacked.batch([data])))
        logits.square().sum().backward()
    assert all(leaf.grad is not None and leaf.grad.abs().max() > 0 for leaf in leaves.values())


def test_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(MMoESettings(template=True, embedding_dim=3))
    data = rows(30)
    whole = predict(model, params, data)
    for i in range(30):
        assert torch.allclose(predict(model, params, data.take(slice(i, i + 1)))[0], whole[i], atol=1e-6)
    (blocks,) = predict_each(model, [Weights(params)], [data], block=7)
    assert torch.allclose(blocks, whole, atol=1e-12)


def test_common_parts_start_equal_and_private_tables_do_not() -> None:
    model = MMoESettings(template=True, embedding_dim=3).build(LAYOUT)
    a, b = (model.initialise(0, name, PRIVATE_ROWS, torch.float32) for name in ("a", "b"))
    for name, role in model.roles().items():
        assert torch.equal(a[name], b[name]) == (role is not Role.EMBEDDING), name
    assert not torch.equal(a["gate"], model.initialise(1, "a", PRIVATE_ROWS, torch.float32)["gate"])


def test_the_gate_is_a_softmax_over_experts() -> None:
    model, params = scrambled(
        MMoESettings(template=True, embedding_dim=3, experts=3, expert_layers=(4,), tower_layers=())
    )
    same = dict(params)
    # when all experts are equal, the gate cannot matter
    for name in params:
        if name.endswith(".scenario"):
            same[name] = params[name][:1].expand_as(params[name]).clone()
    other = {**same, "gate": torch.randn_like(params["gate"])}
    assert torch.allclose(predict(model, same, rows(9)), predict(model, other, rows(9)))


def test_attention_starts_near_the_mean_and_can_pick_one_value() -> None:
    model, params = scrambled(MMoESettings(template=True, embedding_dim=3))
    data = rows(20)
    start = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    stacked = Stacked(model, [Weights(start)])
    pieces = model.inputs(stacked.parameters, stacked.batch([data]))[0]
    seen = pieces[:, 4 * 3 : 5 * 3]
    table, ids = start["shared_embedding"], torch.from_numpy(data.ids[:, 7:10]).long()
    mean = torch.stack([table[row[row >= 0]].mean(0) for row in ids])
    assert torch.allclose(seen, mean, atol=1e-3)
    assert not torch.allclose(seen, mean, atol=1e-12)
    sharp = {**params, "attention": 1e6 * params["attention"]}
    stacked = Stacked(model, [Weights(sharp)])
    picked = model.inputs(stacked.parameters, stacked.batch([data]))[0][:, 4 * 3 : 5 * 3]
    nearest = torch.cdist(picked, sharp["shared_embedding"]).min(1).values
    assert nearest.max() < 1e-6


def test_templates_first_forward_equals_the_plain_models(synthetic: EncodedData) -> None:
    """W_loc = W_task = 1 leave W_scen alone: both models start as the same function."""
    data = synthetic.tables["scenario-0"]
    plain, template = (MMoESettings(template=t).build(synthetic.layout) for t in (False, True))
    logits = [
        predict(m, m.initialise(0, "s", data.private_rows, torch.float64), data.splits["test"])
        for m in (plain, template)
    ]
    assert torch.allclose(*logits, atol=1e-12)


@pytest.mark.parametrize("template", [True, False])
@pytest.mark.parametrize("norm", ["batch", None])
def test_private_experts_are_experts(template: bool, norm: Literal["batch"] | None) -> None:
    """To logits, gradients and folding: the last ones of J, in a tensor of their own."""
    whole = MMoESettings(template=template, norm=norm, embedding_dim=3, experts=3, expert_layers=(6, 5))
    split = whole.model_copy(update={"private_experts": 2})
    one, params = scrambled(whole)
    two = split.build(LAYOUT)
    parted = {n: v for n, v in params.items() if not n.endswith(".scenario")}
    for n in params.keys() - parted.keys():
        parted |= {n: params[n][:1], f"{n.removesuffix('.scenario')}.private": params[n][1:]}
    assert {d.name for d in two.declare()} == parted.keys()
    data = rows(20)
    assert torch.equal(predict(one, params, data), predict(two, parted, data))
    for training in (True, False):
        wanted, found = (gradients(m, p, data, training=training)[0] for m, p in ((one, params), (two, parted)))
        for n, value in wanted.items():
            private = found.get(f"{n.removesuffix('.scenario')}.private", value[:0])
            assert torch.allclose(torch.cat([found[n], private]), value, atol=1e-12), n
    served, folded = two.folded(parted)
    assert not any(n.endswith(".private") for n in folded)
    assert torch.allclose(predict(served, folded, data), predict(one, params, data), atol=1e-10)


def test_some_expert_is_there_for_all() -> None:
    with pytest.raises(ValidationError, match="private_experts must be less than experts, 4, not 4"):
        MMoESettings(private_experts=4)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        MMoESettings(private_experts=-1)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        MMoESettings(residual_embeddings=-0.3)
