"""A private residual beside the shared table: trained by every method, sent by none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest
import torch
from torch import Tensor

from methods.federation import MMOE, Case, Federation
from methods.helpers import aggregate, upload
from methods.passing import what_passes
from methods.suite import (
    assert_absent_scenarios_do_no_harm,
    assert_nothing_leaves_that_the_policies_do_not_name,
    assert_order_of_scenarios_does_not_matter,
    assert_state_survives_being_written_down,
)
from msmtrec.base.member import Member
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report
from msmtrec.methods import METHODS

NETWORK = MMOE.model_copy(update={"residual_embeddings": 1.0})
RESIDUAL, SHARED = "residual_embedding", "shared_embedding"
TOLERANCE = {"ditto": 1e-2}  # as in its own tests
CASES = [
    Case(
        name,
        {"embeddings": "shared"} if "embeddings" in entry.settings.model_fields else {},
        tolerance=TOLERANCE.get(name, 1e-9),
        network=NETWORK,
    )
    for name, entry in METHODS.items()
    if not (entry.pooled or entry.alone)
]
CASES.append(Case("pf-msmtrec", {"embeddings": "mixed"}, network=NETWORK))
each = pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((case.name, *case.options.values())))


@each
@pytest.mark.parametrize(
    "check",
    [
        assert_order_of_scenarios_does_not_matter,
        assert_absent_scenarios_do_no_harm,
        assert_state_survives_being_written_down,
        assert_nothing_leaves_that_the_policies_do_not_name,
    ],
)
def test_properties(check: Callable[[Case], None], case: Case) -> None:
    check(case)


@each
def test_it_trains_and_never_leaves(case: Case) -> None:
    found = Federation(case, 2)
    passed = what_passes(found)
    assert RESIDUAL not in passed
    assert (SHARED in passed) is any(role is Role.SHARED_EMBEDDING for _, role in found.method.policies())
    for member, memory in found.runtime.memories.items():
        for slot in {"model", found.method.served}:
            used = found.site.deck.used[member.scenario]
            held, whole = memory.slots[slot][RESIDUAL], memory.whole(slot, used)[RESIDUAL]
            assert (held != 0).any(1).all(), slot  # every row that training rows use has been trained
            assert torch.equal(whole[used], held)
            assert torch.equal(whole.index_fill(0, used, 0), torch.zeros_like(whole))


def test_two_scenarios_by_hand() -> None:
    """Averaged by touches is E alone; a scenario reads the mean and what it has of its own, which may undo it."""
    declared = (
        Declaration(SHARED, Role.SHARED_EMBEDDING, (3, 1), "embedding"),
        Declaration(RESIDUAL, Role.RESIDUAL_EMBEDDING, (3, 1), "zeros"),
    )
    m = Case("emb-only").build(declared)
    last = {SHARED: torch.zeros(3, 1)}
    held = {"a": torch.tensor([[1.0], [2.0], [9.0]]), "b": torch.tensor([[-3.0], [9.0], [9.0]])}
    residual = {"a": torch.tensor([[1.0], [2.0], [0.0]]), "b": torch.tensor([[-3.0], [0.0], [0.0]])}
    touches = {"a": (3, 1, 0), "b": (1, 0, 0)}
    sent = {
        n: upload(m, n, touches=touches[n], slots={"model": {SHARED: own, RESIDUAL: residual[n]}})
        for n, own in held.items()
    }
    assert all((one.tables.keys(), one.slots["model"]) == ({SHARED}, {}) for one in sent.values())
    outcome = aggregate(m, m.init(last, {"a": 4, "b": 1}), sent, last)
    read = {n: (outcome.replies[n].model[SHARED] + residual[n]).flatten().tolist() for n in held}
    assert outcome.replies["a"].model.keys() == {SHARED}
    assert read == {"a": [1.0, 4.0, 0.0], "b": [-3.0, 2.0, 0.0]}  # mean (3·1 - 3) / 4 = 0, 2 and as it was


def test_both_tables_take_the_same_steps_and_one_is_averaged() -> None:
    """What comes back is E and the mean of these steps by touches; on top each scenario keeps its own."""
    found = Federation(Case("emb-only", network=NETWORK), 1)
    first = {n: memory.whole("model", found.site.deck.used[n])[SHARED] for n, memory in named(found).items()}
    moved, total, weight = dict[str, Tensor](), torch.zeros_like(first["scenario-0"]), torch.zeros(1).double()

    def listen(orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        nonlocal weight
        reports = dict(found.runtime(orders))
        for member, report in reports.items():
            if report.upload is not None:
                name, rows = member.scenario, report.upload.tables[SHARED]
                whole = named(found)[name].whole("model", found.site.deck.used[name])
                moved[name] = whole[RESIDUAL]
                assert torch.allclose(whole[SHARED] - first[name], moved[name], atol=1e-15)
                touches = torch.zeros(len(total), 1, dtype=torch.float64)
                touches[rows.ids.long()] = rows.touches.double().unsqueeze(1)
                total.add_(touches * moved[name])
                weight = weight + touches
        return reports.items()

    found.run(listen)
    assert moved.keys() == first.keys()
    for name, memory in named(found).items():
        now = memory.whole("model", found.site.deck.used[name])
        assert torch.allclose(now[SHARED], first[name] + total / weight.clamp(min=1), atol=1e-12)
        assert torch.equal(now[RESIDUAL], moved[name])


def named(found: Federation) -> dict[str, Memory]:
    return {member.scenario: memory for member, memory in found.runtime.memories.items()}
