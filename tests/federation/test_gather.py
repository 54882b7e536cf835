"""Sums and their means: equal scenarios stay as they are, bit for bit, and so does what nobody touched."""

from __future__ import annotations

import torch

from methods.helpers import COMMON, method, start, upload
from msmtrec.federation.gather import gather


def test_equal_uploads_have_their_own_mean_bit_for_bit() -> None:
    m = method("fedavg")
    value = torch.randn(2, 2, generator=torch.Generator().manual_seed(0))
    sent = {name: upload(m, name, rows=rows, tower=value) for name, rows in (("a", 5), ("b", 1), ("c", 7))}
    assert torch.equal(gather(m, start(m), sent, COMMON).sums["model"]["tower"].mean(COMMON["tower"]), value)


def test_untouched_rows_are_the_last_ones_bit_for_bit() -> None:
    m = method("fedavg-all")
    last = torch.randn(3, 1, generator=torch.Generator().manual_seed(1))
    tables = {**COMMON, "shared_embedding": last}
    sent = {
        name: upload(m, name, touches=(1, 0, 0), shared_embedding=last + moved) for name, moved in (("a", 1), ("b", 2))
    }
    mean = gather(m, start(m), sent, tables).sums["model"]["shared_embedding"].mean(last)
    assert torch.equal(mean[1:], last[1:])
    assert torch.allclose(mean[0], last[0] + 1.5)
