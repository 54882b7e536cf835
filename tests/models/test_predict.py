"""Members that are scored together get what each gets alone, with its own rows of a shared table in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.small import PRIVATE_ROWS, rows, scrambled
from msmtrec.models import predict as predict_module
from msmtrec.models.predict import OwnRows, Weights, predict, predict_each
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.star import STARSettings

NETWORKS = [
    MMoESettings(template=True, embedding_dim=3, experts=2, expert_layers=(4,)),
    MMoESettings(template=True, embedding_dim=3, experts=2, private_experts=1, expert_layers=(4,)),
    MMoESettings(template=True, embedding_dim=3, experts=2, expert_layers=(4,), residual_embeddings=0.3),
    PLESettings(embedding_dim=3),
    STARSettings(embedding_dim=3),
]
SIZES = (30, 7, 1, 18)


def members(settings: ModelSettings):  # type: ignore[no-untyped-def]
    """Four members with private tables of their own and one shared table, of which each holds some rows itself."""
    model, first = scrambled(settings)
    found = []
    for k in range(len(SIZES)):
        generator = torch.Generator().manual_seed(k)
        held = {n: p + 0.2 * torch.randn(p.shape, dtype=p.dtype, generator=generator) for n, p in first.items()}
        held = {n: p.abs() + 0.1 if n.endswith("variance") else p for n, p in held.items()}
        tables = {n: first[n] for n in ("shared_embedding", "residual_embedding") if n in first}
        held |= tables
        held["embedding"] = torch.cat([held["embedding"], held["embedding"][:k]])
        numbers = torch.tensor([[0, 3, 10], [], [5], [1, 2]][k], dtype=torch.int64)
        own = {n: torch.randn(len(numbers), 3, dtype=torch.float64, generator=generator) for n in tables}
        found.append(Weights(held, own, numbers))
    return model, found


@pytest.mark.parametrize("settings", NETWORKS, ids=lambda settings: settings.name)
@pytest.mark.parametrize("block", [8, 10_000])
def test_members_together_score_as_alone(settings: ModelSettings, block: int) -> None:
    model, held = members(settings)
    data = [rows(size, seed) for seed, size in enumerate(SIZES)]
    for own, k in zip(data, range(4), strict=True):
        own.ids[:, 0] = PRIVATE_ROWS - 1 + k  # the last row of the member's private table
    before = [own.ids.copy() for own in data]
    together = predict_each(model, held, data, block=block)
    for logits, weights, own, ids in zip(together, held, data, before, strict=True):
        assert torch.allclose(logits, predict(model, weights.whole(), own), atol=1e-12)
        assert np.array_equal(own.ids, ids)  # what is read may be the cache itself


def test_own_rows_go_before_those_of_the_table() -> None:
    model, held = members(NETWORKS[0])
    data = rows(20)
    one = held[0]
    whole = one.parameters["shared_embedding"].clone()
    whole[one.numbers] = one.own["shared_embedding"]
    expected = predict(model, {**one.parameters, "shared_embedding": whole}, data)
    assert torch.allclose(predict_each(model, [one], [data])[0], expected, atol=1e-12)
    assert not torch.allclose(predict(model, one.parameters, data), expected, atol=1e-3)


@pytest.mark.parametrize("settings", NETWORKS[:3], ids=["plain", "private experts", "residual"])
def test_tables_that_are_not_alike_stand_one_below_the_other(settings: ModelSettings) -> None:
    """With a residual that is alike all the same: what is looked up by the same ids is laid out alike."""
    model, held = members(settings)
    shared = held[1].parameters["shared_embedding"]
    held[1] = replace(held[1], parameters={**held[1].parameters, "shared_embedding": shared + 1})
    data = [rows(5, k) for k in range(4)]
    for logits, weights, own in zip(predict_each(model, held, data), held, data, strict=True):
        assert torch.allclose(logits, predict(model, weights.whole(), own), atol=1e-12)


@pytest.mark.parametrize("mapped", [0, 10])
def test_own_rows_are_found_by_a_map_or_a_search(mapped: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_module, "MAPPED", mapped)
    own = OwnRows.of(torch.tensor([0, 3, 9]), 50, 10)
    assert (own.place is None) == (mapped == 0)
    ids = torch.tensor([[0, 1, -1], [3, 9, 8]], dtype=torch.int32)  # -1 is no row, not the last
    found = own.replaced(ids, ids + 100)
    assert found.dtype == torch.int32
    assert found.tolist() == [[50, 101, 99], [51, 52, 108]]
    none = OwnRows.of(torch.empty(0, dtype=torch.int64), 50, 10)
    assert none.replaced(ids, ids + 100).tolist() == (ids + 100).tolist()
