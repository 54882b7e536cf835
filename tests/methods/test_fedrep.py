"""FedRep: all properties, and what travels and moves when."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.base.roles import Role
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods.phases import LocalRound

CASE = Case("fedrep", {"embeddings": "shared"}, {"body_passes": 0.1, "embeddings": "local"})


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_two_scenarios_by_hand() -> None:
    m = method("fedrep")
    sent = {
        "a": upload(m, "a", rows=3, expert__scenario=torch.full((2, 2), 1.0)),
        "b": upload(m, "b", rows=1, expert__scenario=torch.full((2, 2), 5.0)),
    }
    reply = aggregate(m, start(m), sent).replies["a"].model
    assert reply["expert.scenario"].unique().tolist() == [2.0]
    assert reply.keys() == {"expert.local", "expert.scenario"}  # the head stays


def test_ids_that_only_the_head_saw_do_not_leave() -> None:
    found, sent = Federation(CASE, 1), []

    def listen(orders):  # type: ignore[no-untyped-def]
        reports = dict(found.runtime(orders))
        sent.extend(report.upload for report in reports.values() if report.upload is not None)
        return reports.items()

    found.run(listen)
    columns = found.site.data.layout.columns - found.site.data.layout.private_columns
    assert [int(upload.tables["shared_embedding"].touches.sum()) for upload in sent] == [4 * 32 * columns] * 3


def test_the_head_moves_first_and_then_the_body() -> None:
    found = Federation(CASE, 1)
    member, memory = next(iter(found.runtime.memories.items()))
    roles, moved = found.site.model.roles(), []
    for phase in found.method.local(LocalRound(1, 0.01)):
        after = run_phase(found.site.model, phase, [Job(member, memory, memory, 32, steps=2)], found.site.deck)[
            member
        ].memory
        moved.append({roles[n] for n, v in after.model.items() if not torch.equal(v, memory.model[n])})
        memory = after
    assert moved[0] == {Role.GATE, Role.TOWER}
    assert moved[1] == set(roles.values()) - moved[0]
