"""The rows that a stack's members train on in one step, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from msmtrec.base.roles import Role
from msmtrec.federation.deck import Deck
from msmtrec.federation.packed import Job, Packed
from msmtrec.models.base import Batch
from msmtrec.models.folding import Folding
from msmtrec.models.layers import shift


@dataclass(frozen=True)
class Drawn:
    """K members' rows of one step.

    Args:
        batch: what the network reads, filled up to the longest member's rows.
        sizes: [K] rows of each member.
        labels: [K, B, T].
        weights: [K, B, 1 or T], where rows have any.
    """

    batch: Batch
    sizes: list[int]
    labels: Tensor
    weights: Tensor | None


@dataclass(frozen=True)
class Batches:
    """Makes them of row numbers.

    Args:
        jobs: whose rows they are, in order; the first K of them train in a step.
        packed: their tables, one below the other.
        folding: fields that K members fold.
    """

    deck: Deck
    jobs: Sequence[Job]
    packed: Packed
    _: KW_ONLY
    folding: Folding | None

    def of(self, chosen: Sequence[Tensor]) -> Drawn:
        """chosen [K]: numbers of each member's rows, within its scenario."""
        deck, K, sizes = self.deck, len(chosen), [len(rows) for rows in chosen]
        starts = torch.tensor([deck.starts[job.member.scenario] for job in self.jobs[:K]])
        # filled up with each member's first row: another scenario's ids need not fit its table
        index = pad_sequence(list(chosen), batch_first=True) + starts.unsqueeze(1)  # [K, B]
        valid = torch.arange(index.shape[1]) < torch.tensor(sizes).unsqueeze(1)
        scenario = deck.scenario_of(index)
        index, valid, scenario = (part.to(deck.device) for part in (index, valid, scenario))
        ids, numeric, labels = deck.gather(index)  # [K, B, C], [K, B, M], [K, B, T]
        split = deck.private_columns
        batch = Batch(
            shift(ids[:, :, :split], self.packed.offsets(Role.EMBEDDING, K)),
            shift(ids[:, :, split:], self.packed.offsets(Role.SHARED_EMBEDDING, K)),
            numeric,
            scenario,
            valid=valid,
            folding=self.folding,
            offset=None if deck.offset is None else deck.offset[index],
        )
        weights = None if deck.weights is None else deck.weights.gather(index, scenario)
        return Drawn(batch, sizes, labels, weights)
