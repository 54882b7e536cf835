"""MaT-FL: all properties, and two and three scenarios by hand."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case
from methods.helpers import DECLARATIONS, aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.base.roles import Role
from msmtrec.methods import METHODS
from msmtrec.methods.matfl import similar

CASE = Case("mat-fl", {"embeddings": "shared"}, {"threshold": 0.0, "embeddings": "local"})


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_two_scenarios_by_hand() -> None:
    """Experts at 1 and 5: deltas -2 and 2, cosine -1. Threshold 1.5: s = [2.5, .5], weights 5/6 and 1/6."""
    sent = {}
    for threshold, wanted in ((1.5, [10 / 6, 26 / 6]), (1.0, [1.0, 5.0])):
        m = method("mat-fl", threshold=threshold)
        for name, value, rows in (("a", 1.0, 1), ("b", 5.0, 900)):
            sent[name] = upload(m, name, rows=rows, expert__scenario=torch.full((2, 2), value))
        replies = aggregate(m, start(m), sent).replies
        for name, value in zip("ab", wanted, strict=True):
            own = replies[name].model
            assert own.keys() == {"expert.local", "expert.scenario"}  # the head stays
            assert torch.allclose(own["expert.scenario"], torch.full((2, 2), value))


def test_three_scenarios_by_hand() -> None:
    """Experts (1, 0), (3, 0), (2, 3): mean (2, 1); deltas (-1, -1), (1, -1), (0, 2): cosines 0, -√½, -√½."""
    m = method("mat-fl", threshold=0.8)
    rows = {"a": (1.0, 0.0), "b": (3.0, 0.0), "c": (2.0, 3.0)}
    sent = {n: upload(m, n, expert__scenario=torch.tensor([pair, (0.0, 0.0)])) for n, pair in rows.items()}
    found = aggregate(m, start(m), sent)
    far = 0.8 - 0.5**0.5
    total = 1.8 + 0.8 + far
    wanted = [(1.8 * 1 + 0.8 * 3 + far * 2) / total, far * 3 / total]
    assert found.replies["a"].model["expert.scenario"][0].tolist() == pytest.approx(wanted, rel=1e-6)
    assert found.diagnostics["own_weight"]["a"] == pytest.approx(1.8 / total)


def test_a_network_without_a_body_is_left_alone_and_that_is_said() -> None:
    towers = tuple(d for d in DECLARATIONS if d.role is Role.TOWER or d.role is Role.SHARED_EMBEDDING)
    for name in ("mat-fl", "fedper"):
        m = METHODS[name].settings(embeddings="shared").build(towers)
        assert [s.endswith("this is local training") for s in m.cautions(3)] == [True]
        assert not list(method(name).cautions(3))
        found = aggregate(m, start(m), {n: upload(m, n) for n in "ab"})
        assert all(reply.model.keys() == {"shared_embedding"} for reply in found.replies.values())


def test_two_scenarios_that_stay_alone_are_said() -> None:
    said = {t: list(method("mat-fl", threshold=t).cautions(2)) for t in (1.0, 1.5)}
    assert [s[:11] for s in said[1.0]] == ["threshold 1"]
    assert not said[1.5]


def test_only_directions_count() -> None:
    """Scale-free, and one that stands at the mean has no direction: it weighs what the threshold says."""
    gram = torch.tensor([[4.0, -4.0, 0.0], [-4.0, 4.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    wanted = torch.tensor([[1.5, 0, 0.5], [0, 1.5, 0.5], [0.5, 0.5, 1.5]]).double() / torch.tensor([[2], [2], [2.5]])
    for scale in (1e-24, 1.0, 1e24):
        assert torch.allclose(similar(gram * scale, 0.5), wanted)
