"""Training in bfloat16: the same steps, roughly; parameters, moments and losses stay in float32."""

from __future__ import annotations

import pytest
import torch

from federation.test_networks import CPU, OTHERS, PLE, STAR
from msmtrec.base.member import Member
from msmtrec.base.roles import Role
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck
from msmtrec.federation.memory import begin
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.methods.phases import Adam, Phase
from msmtrec.models import folding
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.mmoe import MMoESettings

NETWORKS: list[ModelSettings] = [
    MMoESettings(embedding_dim=4, experts=2, expert_layers=(8,), tower_layers=(4,), template=True),
    MMoESettings(embedding_dim=4, experts=2, expert_layers=(8, 6), tower_layers=(4,), norm="batch", dropout=0.2),
    PLE,
    STAR,
    *OTHERS,
]


def trained(data: EncodedData, settings: ModelSettings, arithmetic: torch.dtype) -> dict[Member, Trained]:
    """Batches of unequal size, so that some rows are filled up."""
    deck = Deck(data, torch.float32, CPU, arithmetic=arithmetic)
    model = settings.build(data.layout)
    shared = frozenset(n for n, role in model.roles().items() if role is Role.SHARED_EMBEDDING)
    work = []
    for place, name in enumerate(data.scenarios):
        parameters = model.initialise(0, name, data.tables[name].private_rows, deck.dtype)
        memory = begin(parameters, deck.used[name], shared)
        work.append(Job(Member(0, name), memory, memory, 64 - 10 * place, steps=6))
    return run_phase(model, Phase(rule=Adam(1e-3)), work, deck)


@pytest.mark.parametrize("overhead", [1e30, -1e30], ids=["plain", "folded"])
@pytest.mark.parametrize("settings", NETWORKS, ids=["template", "norm", *(one.name for one in NETWORKS[2:])])
def test_losses_are_near_and_parameters_stay_in_float32(
    synthetic: EncodedData, settings: ModelSettings, overhead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "OVERHEAD", overhead)
    full, low = (trained(synthetic, settings, kind) for kind in (torch.float32, torch.bfloat16))
    differs = False
    for member, found in low.items():
        assert found.loss == pytest.approx(full[member].loss, rel=0.02)
        for slot, held in found.memory.slots.items():
            for name, value in held.items():
                assert value.dtype == torch.float32
                assert bool(torch.isfinite(value).all())
                differs |= not torch.equal(value, full[member].memory.slots[slot][name])
    assert differs
