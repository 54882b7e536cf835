"""Tables of which a step trains only the rows that its batch uses.

Adam moves a row of an embedding table also where no row of the batch has its value, by what its moments remember. Such
steps cost as much as the table is large. Lazy Adam leaves those rows and their moments alone, as torch.optim.SparseAdam
does; it is another optimiser, by as much as values are rare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import OF_COMMON_IDS, TABLES, Role
from msmtrec.federation.packed import Packed
from msmtrec.methods.phases import Adam
from msmtrec.models.base import Batch
from msmtrec.models.folding import Folding

BETAS, EPS = (0.9, 0.999), 1e-8


class Touched:
    """The rows of a stack's tables that one batch reads.

    Attributes:
        batch: the batch, its ids counting within these rows.
        rows: table -> [U] ascending numbers of the rows that are read: all values of folded fields are.
        used: table -> [U] bool, whether a row of the batch has the value.
    """

    def __init__(self, batch: Batch, roles: Mapping[str, Role], tables: Sequence[str]) -> None:
        self.rows: dict[str, Tensor] = {}
        self.used: dict[str, Tensor] = {}
        found, folding = [], batch.folding
        for shared, ids in ((False, batch.private_ids), (True, batch.shared_ids)):
            alike = {name for name, role in roles.items() if role in TABLES and (role in OF_COMMON_IDS) is shared}
            mine = [name for name in tables if name in alike]
            if not mine:
                found.append(ids)
                continue
            assert len(mine) == len(alike), "tables of the same ids are trained together"
            folded = folding.rows_of(shared) if folding is not None else ids.new_empty(0)
            read = torch.unique(torch.cat([ids.flatten().long(), folded.flatten().long()]))
            read = read[read >= 0]
            there = ids >= 0
            place = torch.searchsorted(read, ids.long())
            used = torch.zeros(len(read), dtype=torch.bool, device=read.device)
            used[place[there & batch.valid.unsqueeze(2)]] = True  # a row that fills up trains nothing
            self.rows |= dict.fromkeys(mine, read)
            self.used |= dict.fromkeys(mine, used)
            found.append(torch.where(there, place, -1).to(ids.dtype))
            folding = _moved(folding, read, shared)
        private, common = found
        self.batch = replace(batch, private_ids=private, shared_ids=common, folding=folding)

    def leaves(self, tables: Parameters) -> Parameters:
        """The rows themselves, [U, d] each."""
        return {name: tables[name][rows].requires_grad_() for name, rows in self.rows.items()}


def _moved(folding: Folding | None, read: Tensor, shared: bool) -> Folding | None:
    """With the values of the fields of one table where they stand among the rows that are read: a field's all are."""
    if folding is None:
        return None
    here = torch.tensor(folding.shared) == shared
    first, last = (
        torch.where(here.to(read.device), torch.searchsorted(read, ends.contiguous()), ends)
        for ends in (folding.first, folding.last)
    )
    return replace(folding, first=first, last=last)


def step_rows(
    rule: Adam,
    packed: Packed,
    slot: str,
    touched: Touched,
    gradients: Parameters,
    *,
    rates: Mapping[str, float],
    clocks: Sequence[int],
) -> None:
    """One Adam step of the rows of a slot's tables that the batch uses, in place.

    Args:
        gradients: table -> [U, d].
        rates: table -> learning rate.
        clocks: steps that each member has taken before.
    """
    taken = torch.tensor(clocks, dtype=torch.float64, device=packed.device) + 1
    for name, whole in gradients.items():
        rows, grad = touched.rows[name][touched.used[name]], whole[touched.used[name]]
        value, first, second = (packed.slot(slot + kind)[name] for kind in ("", ".m", ".v"))
        ends = torch.tensor(packed.ends[name][1 : len(clocks) + 1], device=rows.device)
        t = taken[torch.searchsorted(ends, rows, right=True)].unsqueeze(1)  # [U, 1]
        if rule.decay:
            grad = grad + rule.decay * value[rows]
        m = first[rows].lerp_(grad, 1 - BETAS[0])
        v = second[rows].mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        first[rows], second[rows] = m, v
        size = (rates[name] / (1 - BETAS[0] ** t)).to(m.dtype)
        spread = (1 - BETAS[1] ** t).sqrt().to(v.dtype)
        value[rows] -= size * m / (v.sqrt() / spread + EPS)
