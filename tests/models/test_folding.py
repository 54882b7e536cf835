"""A folded first layer against the plain one: what the network says of a row, and every gradient, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.small import LAYOUT, rows, scrambled
from msmtrec.data.table import Field, Layout
from msmtrec.models import folding
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded, Folding, Run, cheapest
from msmtrec.models.settings.aitm import AITMSettings
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.esmm import ESMMSettings
from msmtrec.models.settings.hinet import HiNetSettings
from msmtrec.models.settings.m2m import M2MSettings
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.shared_bottom import SharedBottomSettings

NETWORKS: list[ModelSettings] = [
    MMoESettings(embedding_dim=3, experts=2, expert_layers=(4, 3), tower_layers=(2,)),
    MMoESettings(embedding_dim=3, experts=2, expert_layers=(4, 3), tower_layers=(2,), template=True),
    MMoESettings(embedding_dim=3, experts=3, private_experts=2, expert_layers=(4, 3), tower_layers=(), template=True),
    MMoESettings(embedding_dim=3, experts=2, expert_layers=(4,), template=True, residual_embeddings=0.3),
    PLESettings(embedding_dim=3, expert_layers=(4,), tower_layers=()),
    SharedBottomSettings(embedding_dim=3, layers=(4,), tower_layers=()),
    ESMMSettings(embedding_dim=3, layers=(4,), tower_layers=()),
    AITMSettings(embedding_dim=3, layers=(4,), tower_layers=()),
    HiNetSettings(embedding_dim=3, expert_layers=(4,), task_layers=(3,)),
    M2MSettings(embedding_dim=3, experts=2, expert_layers=(4,), attention_layer=3),
]
WEIGHTED = replace(
    LAYOUT,
    fields=(
        Field("user", 0, 1, False),
        Field("tags", 1, 3, False, shares=4),
        Field("bought", 4, 2, False),
        Field("item", 6, 1, True),
        Field("seen", 7, 3, True, attends="item"),
        Field("liked", 10, 2, True),
    ),
    shares=3,
)
FOLDED = {2: (1, 2, 5), 0: (0, 1, 2, 5)}


def batch(layout: Layout, members: int) -> Batch:
    """Ids of two members' tables, one below the other: 11 ids of 17 private rows and of 11 shared rows."""
    own = [rows(20, seed) for seed in range(members)]
    ids = torch.stack([torch.from_numpy(part.ids) for part in own])
    numeric = torch.stack([torch.from_numpy(part.numeric) for part in own]).double()
    if layout.shares:
        share = torch.rand(*ids.shape[:2], 3, dtype=torch.float64) * (ids[:, :, 1:4] >= 0)
        numeric = torch.cat([numeric, share / share.sum(2, keepdim=True)], 2)
    private, shared = (torch.arange(members).view(-1, 1, 1) * size for size in (17, 11))
    return Batch(
        torch.where(ids[:, :, :6] >= 0, ids[:, :, :6] + private, -1),
        torch.where(ids[:, :, 6:] >= 0, ids[:, :, 6:] + shared, -1),
        numeric,
        torch.zeros(members, 20, dtype=torch.int64),
        valid=torch.ones(members, 20, dtype=torch.bool),
    )


def folds(layout: Layout, fields: tuple[int, ...], members: int) -> Folding:
    """The second member has fewer values of its last field than the first says."""
    sizes = torch.tensor([[17 if layout.fields[n].shared is False else 11 for n in fields]] * members)
    first = torch.arange(members).view(-1, 1) * sizes
    shared = tuple(layout.fields[number].shared for number in fields)
    return Folding(runs(fields, sizes[0].tolist()), shared, first=first, last=first + sizes - 1)


def runs(fields: tuple[int, ...], sizes: list[int]) -> tuple[Run, ...]:
    """Neighbours together."""
    found: list[Run] = []
    for number, size in zip(fields, sizes, strict=True):
        if found and found[-1].first + found[-1].fields == number:
            last = found.pop()
            found.append(Run(last.first, last.fields + 1, max(last.size, size)))
        else:
            found.append(Run(number, 1, size))
    return tuple(found)


def found(model: Model, parameters: Mapping[str, Tensor], seen: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    logits = model.forward(leaves, Pass(seen, training=True))
    weight = torch.linspace(-1, 1, logits.numel(), dtype=torch.float64).view(logits.shape)
    return logits.detach(), torch.autograd.grad((logits * weight).sum(), list(leaves.values()), allow_unused=True)


@pytest.mark.parametrize(
    "settings", NETWORKS, ids=["mmoe", "template", "private", "residual", *(one.name for one in NETWORKS[4:])]
)
@pytest.mark.parametrize("layout", [LAYOUT, WEIGHTED], ids=["attention", "weights"])
@pytest.mark.parametrize("members", [1, 2])
def test_logits_and_gradients_are_those_of_the_plain_layer(
    settings: ModelSettings, layout: Layout, members: int
) -> None:
    model = settings.build(layout)
    _, one = scrambled(settings)
    tables = {"embedding", "shared_embedding", "residual_embedding"}
    parameters = {
        name: torch.cat([value] * members) if name in tables else torch.stack([value * (k + 1) for k in range(members)])
        for name, value in one.items()
    }
    attends = sum(field.attends is not None for field in layout.fields)
    parameters["attention"] = parameters["attention"][:, :attends]
    seen = batch(layout, members)
    fields = (1,) if attends == 3 else (0, 1, 2, 5)
    folded = replace(seen, folding=folds(layout, fields, members))
    assert isinstance(model.reads(parameters, folded), Folded)
    plain, wanted = found(model, parameters, seen)
    logits, got = found(model, parameters, folded)
    assert torch.allclose(logits, plain, atol=1e-12)
    for name, one_grad, other in zip(parameters, got, wanted, strict=True):
        assert (one_grad is None) == (other is None), name
        if one_grad is not None and other is not None:
            assert torch.allclose(one_grad, other, atol=1e-12), name


def test_all_fields_folded_and_only_one() -> None:
    layout = replace(LAYOUT, fields=tuple(replace(field, attends=None) for field in LAYOUT.fields))
    model = NETWORKS[0].build(layout)
    _, one = scrambled(NETWORKS[0])
    parameters = {n: v if n.endswith("embedding") else v.unsqueeze(0) for n, v in one.items() if n != "attention"}
    seen = batch(layout, 1)
    plain, wanted = found(model, parameters, seen)
    for fields in (tuple(range(6)), (0,), (5,)):
        logits, got = found(model, parameters, replace(seen, folding=folds(layout, fields, 1)))
        assert torch.allclose(logits, plain, atol=1e-12)
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(got, wanted, strict=True))


def test_few_values_of_large_batches_are_worth_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(sizes: list[int], batch: int, d: int = 128, outputs: int = 4096) -> tuple[Run, ...]:
        layout = replace(LAYOUT, fields=tuple(Field(str(n), n, 1, False) for n in range(len(sizes))))
        return cheapest(layout, sizes, d, outputs, batch)

    assert of([10, 100_000], 2048) == (Run(0, 1, 10),)
    assert of([10, 11], 2048) == (Run(0, 1, 10), Run(1, 1, 11))  # nothing is filled up where that costs more
    assert of([100, 100], 64) == ()  # building the table costs more than it saves
    assert of([3, 4, 2, 900, 3], 256, 8, 1536) == (Run(0, 3, 4), Run(4, 1, 3))  # one product for neighbours
    monkeypatch.setattr(folding, "OVERHEAD", -1e18)
    assert cheapest(LAYOUT, [1] * 6, 1, 1, 1) == (Run(1, 1, 1),)  # a field that is asked with, or asks, is looked up
