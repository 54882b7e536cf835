"""Which fields the members of a stack fold into their first layers, from the ids that their training rows hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from msmtrec.base.roles import Role
from msmtrec.federation.deck import Deck
from msmtrec.federation.packed import Packed
from msmtrec.models.base import Model
from msmtrec.models.folding import Folding, cheapest


def stack_folding(model: Model, deck: Deck, packed: Packed, scenarios: Sequence[str], batch: int) -> Folding | None:
    """For all members, K of them, in their order; None where no field is worth it.

    Args:
        packed: the members' tables, one below the other.
        scenarios: [K] whose rows each member trains on.
        batch: rows a step, of the member that has most.
    """
    fields, K = model.layout.fields, len(scenarios)
    if not model.first_outputs or not fields:
        return None
    spans = torch.tensor([deck.spans[name] for name in scenarios])  # [K, F, 2]
    sizes = (spans[:, :, 1] - spans[:, :, 0] + 1).amax(0).tolist()
    runs = cheapest(model.layout, sizes, model.embedding_dim, K * model.first_outputs, batch)
    chosen = [run.first + place for run in runs for place in range(run.fields)]
    if not chosen:
        return None
    own, common = (packed.offsets(role, K).view(K, 1) for role in (Role.EMBEDDING, Role.SHARED_EMBEDDING))
    offsets = torch.cat([common if fields[number].shared else own for number in chosen], 1)  # [K, chosen]
    ends = spans[:, chosen].to(deck.device) + offsets.unsqueeze(2)
    shared = tuple(fields[number].shared for number in chosen)
    return Folding(runs, shared, first=ends[:, :, 0], last=ends[:, :, 1])
