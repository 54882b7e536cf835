import pytest
import torch

from methods.federation import Case
from methods.helpers import COMMON, aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.base.roles import Role
from msmtrec.federation.gather import gather

CASES = (
    Case("fedavg-all", {}, {"average": "network", "clip": 0.5}),
    Case("emb-only", {}, {"average": "nothing"}, {"clip": 0.5}),
    Case("local", {}, {"average": "everything"}, {"clip": 0.5}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("check", ALL)
def test_properties(check, case: Case) -> None:  # type: ignore[no-untyped-def]
    check(case)


def roles_that_leave(m) -> set[Role]:  # type: ignore[no-untyped-def]
    return {d.role for d in m.leaving()}


def test_what_leaves_by_row() -> None:
    assert roles_that_leave(method("local")) == set()
    assert roles_that_leave(method("pooled")) == set()
    assert roles_that_leave(method("emb-only")) == {Role.SHARED_EMBEDDING}
    network = {Role.EXPERT_LOCAL, Role.EXPERT_SCENARIO, Role.GATE, Role.TOWER}
    assert roles_that_leave(method("fedavg")) == network
    assert roles_that_leave(method("fedavg-all")) == network | {Role.SHARED_EMBEDDING}


def test_fedavg_by_hand() -> None:
    m = method("fedavg")
    uploads = {
        "a": upload(m, "a", rows=3, tower=torch.full((2, 2), 1.0)),
        "b": upload(m, "b", rows=1, tower=torch.full((2, 2), 5.0)),
    }
    outcome = aggregate(m, start(m), uploads)
    assert outcome.replies["a"].model["tower"].tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert outcome.replies["a"].model.keys() == {"expert.local", "expert.scenario", "gate", "tower"}
    assert gather(m, start(m), uploads, COMMON).norms == {"a": pytest.approx(2.0), "b": pytest.approx(10.0)}


def test_a_missing_task_is_left_out_of_the_mean() -> None:
    m = method("fedavg")
    uploads = {
        "a": upload(m, "a", rows=3, tower=torch.full((2, 2), 1.0)),
        "b": upload(m, "b", rows=1, tasks=(True, False), tower=torch.full((2, 2), 5.0)),
    }
    tower = aggregate(m, start(m), uploads).replies["b"].model["tower"]
    assert tower.tolist() == [[2.0, 2.0], [1.0, 1.0]]


def test_a_task_that_nobody_has_stays() -> None:
    m = method("fedavg")
    uploads = {"a": upload(m, "a", tasks=(True, False), tower=torch.full((2, 2), 9.0))}
    assert aggregate(m, start(m), uploads).replies["a"].model["tower"][1].tolist() == [0.0, 0.0]


def test_shared_embeddings_are_averaged_by_touches() -> None:
    m = method("fedavg-all")
    uploads = {
        "a": upload(m, "a", rows=100, touches=(1, 0, 0), shared_embedding=torch.tensor([[4.0], [9.0], [9.0]])),
        "b": upload(m, "b", rows=1, touches=(3, 2, 0), shared_embedding=torch.tensor([[0.0], [2.0], [9.0]])),
    }
    table = aggregate(m, start(m), uploads).replies["a"].model["shared_embedding"]
    assert table.flatten().tolist() == [1.0, 2.0, 0.0]


def test_clipping_changes_the_mean_and_only_of_the_long_update() -> None:
    long = {
        "a": ("a", torch.full((2, 2), 1.0)),
        "b": ("b", torch.full((2, 2), 1.0)),
        "c": ("c", torch.full((2, 2), 100.0)),
    }
    plain, clipped = method("fedavg"), method("fedavg", clip=2.0)
    found = {}
    for m in (plain, clipped):
        uploads = {name: upload(m, s, tower=value) for name, (s, value) in long.items()}
        found[m] = aggregate(m, start(m), uploads).replies["a"].model["tower"][0, 0].item()
    assert found[plain] == pytest.approx(34.0)
    assert found[clipped] == pytest.approx(4 / 3)


def test_welcome_gives_the_current_mean() -> None:
    m = method("fedavg")
    outcome = aggregate(m, start(m), {"a": upload(m, "a", tower=torch.ones(2, 2))})
    assert m.welcome(outcome.state, "new")[1].model["tower"].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert torch.equal(COMMON["tower"], torch.zeros(2, 2))
