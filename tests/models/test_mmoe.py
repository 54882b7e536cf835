import numpy as np
import pytest
import torch

from msmtrec.base.roles import Role
from msmtrec.data.table import EncodedData, Field, Layout, Rows
from msmtrec.models.base import Pass
from msmtrec.models.mmoe import MMoESettings
from msmtrec.models.predict import predict, single_batch, with_member_axis
from msmtrec.models.reference import reference_forward

LAYOUT = Layout(
    (
        Field("user", 0, 1, False),
        Field("tags", 1, 3, False),
        Field("bought", 4, 2, False, attends="user"),
        Field("item", 6, 1, True),
        Field("seen", 7, 3, True, attends="item"),
        Field("liked", 10, 2, True, attends="item"),
    ),
    4,
    11,
    ("click", "like"),
)
PRIVATE_ROWS = 17


def rows(N: int, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    ids = random.integers(0, 11, size=(N, 12)).astype(np.int32)
    ids[::2, 3] = ids[::2, 9] = -1
    ids[::3, 2:4] = ids[::3, 8:10] = ids[1::3, 11] = ids[::5, 5] = -1
    return Rows(
        ids,
        random.normal(size=(N, 4)).astype(np.float32),
        random.integers(0, 2, size=(N, 2)).astype(np.float32),
        np.arange(N),
    )


def scrambled(settings: MMoESettings):  # type: ignore[no-untyped-def]
    """A model and parameters with no ones or zeros left, so that every factor matters."""
    model = settings.build(LAYOUT)
    params = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    generator = torch.Generator().manual_seed(1)
    return model, {n: p + 0.3 * torch.randn(p.shape, dtype=p.dtype, generator=generator) for n, p in params.items()}


@pytest.mark.parametrize("template", [True, False])
@pytest.mark.parametrize("layers", [(6,), (6, 5), (6, 5, 3)])
def test_equals_the_plain_reference_in_float64(template: bool, layers: tuple[int, ...]) -> None:
    settings = MMoESettings(embedding_dim=3, experts=3, expert_layers=layers, tower_layers=(4,), template=template)
    model, params = scrambled(settings)
    data = rows(12)
    fast = predict(model, params, data)
    plain = reference_forward(
        LAYOUT, settings, params, torch.from_numpy(data.ids), torch.from_numpy(data.numeric).double()
    )
    assert (fast - plain).abs().max() < 1e-10


def test_every_parameter_has_a_role_and_gets_a_gradient() -> None:
    settings = MMoESettings(embedding_dim=3, experts=3, expert_layers=(6, 5))
    model, params = scrambled(settings)
    assert set(model.roles().values()) == set(Role) - {Role.NORM_AFFINE, Role.NORM_STATISTICS}
    leaves = {n: p.clone().requires_grad_() for n, p in params.items()}
    data = rows(64)
    with torch.enable_grad():
        kept = with_member_axis(model, leaves)
        logits = model.forward(kept, Pass(single_batch(model, data, leaves["gate"])))
        logits.square().sum().backward()
    assert all(leaf.grad is not None and leaf.grad.abs().max() > 0 for leaf in leaves.values())


def test_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(MMoESettings(embedding_dim=3))
    data = rows(30)
    whole = predict(model, params, data)
    for i in range(30):
        assert torch.allclose(predict(model, params, data.take(slice(i, i + 1)))[0], whole[i], atol=1e-6)
    assert torch.allclose(predict(model, params, data, block=7), whole, atol=1e-12)


def test_common_parts_start_equal_and_private_tables_do_not() -> None:
    model = MMoESettings(embedding_dim=3).build(LAYOUT)
    a, b = (model.initialise(0, name, PRIVATE_ROWS, torch.float32) for name in ("a", "b"))
    for name, role in model.roles().items():
        assert torch.equal(a[name], b[name]) == (role is not Role.EMBEDDING), name
    assert not torch.equal(a["gate"], model.initialise(1, "a", PRIVATE_ROWS, torch.float32)["gate"])


def test_the_gate_is_a_softmax_over_experts() -> None:
    model, params = scrambled(MMoESettings(embedding_dim=3, experts=3, expert_layers=(4,), tower_layers=()))
    same = dict(params)
    # when all experts are equal, the gate cannot matter
    for name in params:
        if name.endswith(".scenario"):
            same[name] = params[name][:1].expand_as(params[name]).clone()
    other = {**same, "gate": torch.randn_like(params["gate"])}
    assert torch.allclose(predict(model, same, rows(9)), predict(model, other, rows(9)))


def test_attention_starts_near_the_mean_and_can_pick_one_value() -> None:
    model, params = scrambled(MMoESettings(embedding_dim=3))
    data = rows(20)
    start = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    batch = single_batch(model, data, start["gate"])
    pieces = model.inputs(with_member_axis(model, start), batch)[0]
    seen = pieces[:, 4 * 3 : 5 * 3]
    table, ids = start["shared_embedding"], torch.from_numpy(data.ids[:, 7:10]).long()
    mean = torch.stack([table[row[row >= 0]].mean(0) for row in ids])
    assert torch.allclose(seen, mean, atol=1e-3)
    assert not torch.allclose(seen, mean, atol=1e-12)
    sharp = {**params, "attention": 1e6 * params["attention"]}
    picked = model.inputs(with_member_axis(model, sharp), batch)[0][:, 4 * 3 : 5 * 3]
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
