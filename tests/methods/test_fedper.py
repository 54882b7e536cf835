"""FedPer: all properties, two scenarios by hand, and a head that stays and is trained with the body."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.methods.fedrep import HEAD

CASE = Case("fedper", {"embeddings": "shared"}, {"embeddings": "local"})


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_two_scenarios_by_hand() -> None:
    m = method("fedper")
    sent = {
        "a": upload(m, "a", rows=3, expert__scenario=torch.full((2, 2), 1.0)),
        "b": upload(m, "b", rows=1, expert__scenario=torch.full((2, 2), 5.0)),
    }
    reply = aggregate(m, start(m), sent).replies["a"].model
    assert reply["expert.scenario"].unique().tolist() == [2.0]  # (3 · 1 + 1 · 5) / 4
    assert reply.keys() == {"expert.local", "expert.scenario"}  # the head stays


def test_everything_is_trained_at_once_and_only_heads_come_to_differ() -> None:
    ours, average = Federation(CASE, 1).run(), Federation(Case("fedavg-all"), 1).run()
    for one, other in zip(ours.runtime.memories.values(), average.runtime.memories.values(), strict=True):
        for name, role in ours.site.model.roles().items():  # after the download: the same steps, another average
            if role not in {"embedding", "shared-embedding"}:
                assert torch.equal(one.model[name], other.model[name]) == (role not in HEAD), name
