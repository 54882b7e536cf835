import pytest
import torch

from methods.helpers import COMMON, method, start, upload
from msmtrec.base.errors import UserError
from msmtrec.federation.server import ServerState, aggregate, catch_up
from msmtrec.methods.base import Upload

FEDAVG = method("fedavg")
EXPECTED = {d.name: COMMON[d.name] for d in FEDAVG.leaving()}


def step(uploads: dict[str, Upload], state: ServerState | None = None, round_number: int = 1, max_staleness: int = 2):  # type: ignore[no-untyped-def]
    return aggregate(FEDAVG, state or ServerState(start(FEDAVG)), uploads, EXPECTED, round_number, max_staleness)


def tower(value: float) -> torch.Tensor:
    return torch.full((2, 2), value)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (torch.full((2, 2), float("nan")), r"scenario 'b' sent 'tower' with NaN or infinite values"),
        (torch.full((2, 2), float("inf")), r"NaN or infinite"),
        (torch.zeros(3, 2), r"scenario 'b' sent 'tower' of shape \(3, 2\), not \(2, 2\)"),
    ],
)
def test_a_broken_upload_is_left_out_by_name_and_the_round_goes_on(broken: torch.Tensor, reason: str) -> None:
    found, taken = step({"a": upload(FEDAVG, "a", tower=tower(3.0)), "b": upload(FEDAVG, "b", tower=broken)})
    assert list(taken) == ["a"]
    assert found.replies["a"].parameters["tower"].tolist() == tower(3.0).tolist()
    import re

    assert re.search(reason, found.diagnostics["rejected"][0])
    assert "b" not in found.replies


def test_a_missing_tensor_is_named() -> None:
    found, _ = step({"a": upload(FEDAVG, "a"), "b": Upload("b", 1, (True, True), {})})
    assert found.diagnostics["rejected"] == ["scenario 'b' sent no 'expert.local'"]


def test_none_left_is_a_clear_failure() -> None:
    with pytest.raises(UserError, match=r"round 1: no scenario sent a usable update \(scenario 'a' sent 'tower'"):
        step({"a": upload(FEDAVG, "a", tower=tower(float("nan")))})


def test_too_old_updates_do_not_count_and_get_a_fresh_start() -> None:
    state = ServerState(start(FEDAVG), {"a": 7, "b": 4})
    uploads = {"a": upload(FEDAVG, "a", tower=tower(2.0)), "b": upload(FEDAVG, "b", tower=tower(100.0))}
    found, taken = step(uploads, state, round_number=8)
    assert list(taken) == ["a"]
    assert found.diagnostics["stale"] == ["b"]
    assert found.diagnostics["staleness"] == {"a": 0, "b": 3}
    assert found.replies["b"].parameters["tower"].tolist() == tower(2.0).tolist()
    assert found.state.held == {"a": 8, "b": 8}


def test_a_method_that_shares_nothing_has_nothing_to_aggregate() -> None:
    local = method("local")
    found, taken = aggregate(local, ServerState(start(local)), {"a": Upload("a", 1, (True,), {})}, {}, 50, 2)
    assert (dict(found.replies), taken, dict(found.diagnostics)) == ({}, {}, {})


def test_a_scenario_that_missed_a_round_fetches_the_averages_before_it_trains() -> None:
    state = ServerState(start(FEDAVG), {"a": 3})
    state, reply = catch_up(FEDAVG, state, "a", 6)
    assert reply is not None
    assert reply.parameters.keys() == EXPECTED.keys()
    assert state.held == {"a": 5}  # its update will be fresh
    assert catch_up(FEDAVG, state, "a", 6)[1] is None
    paper = method("pf-msmtrec")
    aged, reply = catch_up(paper, ServerState(start(paper), {"a": 3}), "a", 6)
    assert reply is not None
    assert set(reply.parameters) == {"shared_embedding"}  # personal parameters stay and age
    assert aged.held == {"a": 3}


def test_a_new_scenario_starts_from_the_consensus_and_does_not_drag_it_back() -> None:
    paper = method("pf-msmtrec")
    state = ServerState(start(paper))
    five = torch.full((2, 2), 5.0)
    for number in (1, 2, 3):
        sent = {name: upload(paper, name, expert__scenario=five, tower=five) for name in ("a", "b")}
        found, _ = aggregate(paper, state, sent, {}, number, 10)
        state = found.state
    state, reply = catch_up(paper, state, "late", 4)
    assert reply is not None
    assert set(reply.parameters) == {"expert.scenario", "tower", "shared_embedding"}
    assert reply.parameters["tower"].tolist() == five.tolist()
    assert state.held["late"] == 3
    consensus = reply.parameters["expert.scenario"]
    assert consensus.mean() > 2.5
    sent = {
        "a": upload(paper, "a", expert__scenario=five, tower=five),
        "late": upload(paper, "late", expert__scenario=consensus, tower=five),
    }
    found, _ = aggregate(paper, state, sent, {}, 4, 10)
    assert found.state.method.tensors["consensus/expert.scenario"].min() >= consensus.min()
    assert found.diagnostics["staleness"] == {"a": 0, "late": 0}
