"""FedDWA: all properties, two scenarios by hand, and the model that distances are taken from."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods import METHODS
from msmtrec.methods.base import Upload
from msmtrec.methods.feddwa import GUIDE, nearest
from msmtrec.methods.phases import LocalRound

CHANGES = {"neighbours": 2, "further_passes": 0.2, "embeddings": "local"}
CASE = Case("feddwa", {"embeddings": "shared"}, CHANGES)


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def sent(m, name: str, now: float, later: float, rows: int = 1) -> Upload:  # type: ignore[no-untyped-def]
    return upload(m, name, rows, tower=torch.full((2, 2), now), slots={GUIDE: {"tower": torch.full((2, 2), later)}})


def test_two_scenarios_by_hand() -> None:
    """Models 0 and 4, on their way to 1 and 3.5: inverse squares 1/1 and 1/9; 1/12.25 and 1/.25."""
    for rows in (1, 900):  # which weigh nothing
        m = method("feddwa")
        sizes = {"a": rows, "b": 1}
        found = aggregate(m, start(m, sizes), {"a": sent(m, "a", 0.0, 1.0, rows), "b": sent(m, "b", 4.0, 3.5)})
        a, b = (found.replies[n].model["tower"].unique().item() for n in "ab")
        assert a == pytest.approx(4 * (1 / 9) / (1 + 1 / 9))
        assert b == pytest.approx(4 * 4 / (4 + 1 / 12.25))
        assert found.replies["a"].slots.keys() == {"model"}  # the further model stays where it is


def test_only_the_nearest_count_and_a_model_that_is_met_takes_all() -> None:
    distances = torch.tensor([[1.0, 4.0, 2.0], [0.0, 3.0, 0.0], [9.0, 1e-30, 5.0]], dtype=torch.float64)
    for scale in (1e-20, 1.0, 1e20):
        found = nearest(distances * scale, 2)
        assert torch.allclose(found, torch.tensor([[2 / 3, 0, 1 / 3], [0.5, 0, 0.5], [0, 1.0, 0]]).double())
    assert nearest(distances, 1).argmax(1).tolist() == [0, 0, 1]
    assert torch.allclose(nearest(distances, 9).sum(1), torch.ones(3, dtype=torch.float64))


def test_the_further_model_is_one_pass_on_and_the_model_stays() -> None:
    found = Federation(CASE, 1)
    member, memory = next(iter(found.runtime.memories.items()))
    first, further = found.method.local(LocalRound(1, 0.01))
    trained = run_phase(found.site.model, first, [Job(member, memory, memory, 64, steps=2)], found.site.deck)[member]
    job = Job(member, trained.memory, memory, 64, steps=2)
    after = run_phase(found.site.model, further, [job], found.site.deck)[member]
    assert sorted(after.rows.tolist()) == list(range(found.site.deck.sizes[member.scenario]))  # every row once
    for name in found.method.compared():
        assert torch.equal(after.memory.model[name], trained.memory.model[name]), name
        assert not torch.equal(after.memory.slots[GUIDE][name], after.memory.model[name]), name


def test_one_neighbour_is_said() -> None:
    assert [s[:12] for s in METHODS["feddwa"].settings(neighbours=1).cautions()] == ["neighbours 1"]
    assert not list(METHODS["feddwa"].settings().cautions())
