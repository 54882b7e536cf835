import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from methods.helpers import COMMON, method, start, upload
from msmtrec.base.errors import Diverged, UserError
from msmtrec.base.member import Member
from msmtrec.federation.gather import gather
from msmtrec.federation.incoming import Incoming
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.rounds import _exchange
from msmtrec.federation.server import ServerState, Step, aggregate, begin, catch_up
from msmtrec.federation.standing import Plan, Standing
from msmtrec.federation.traffic import Clock, Traffic
from msmtrec.methods.base import Reply, TableRows, Upload

FEDAVG = method("fedavg")
EXPECTED = {"model": {name: COMMON[name] for name in FEDAVG.network()}}


def step(uploads, state=None, round_number=1, max_staleness=2, m=FEDAVG, refused=()):  # type: ignore[no-untyped-def]
    start_ = state or ServerState(start(m))
    expected = {"model": {name: COMMON[name] for name in m.network()}}
    return aggregate(m, start_, uploads, list(refused), expected, COMMON, round_number, max_staleness)


def tower(value: float) -> torch.Tensor:
    return torch.full((2, 2), value)


@pytest.mark.parametrize("m", [FEDAVG, method("pf-msmtrec", personalization="uniform", towers="uniform")])
def test_a_wrongly_shaped_upload_is_left_out_by_name_and_the_round_goes_on(m: Any) -> None:
    uploads = {"a": upload(m, "a", tower=tower(3.0)), "b": upload(m, "b", tower=tower(3.0))}
    uploads["b"] = replace(uploads["b"], slots={"model": {**uploads["b"].slots["model"], "tower": torch.zeros(3, 2)}})
    found = step(uploads, m=m)
    assert list(found.gathered.rows) == ["a"]
    assert found.state.owed["a"].model["tower"].tolist() == tower(3.0).tolist()
    assert found.diagnostics["rejected"] == ["scenario 'b' sent 'tower' of shape (3, 2), not (2, 2)"]
    assert "b" not in found.state.owed


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_never_enter_a_result(value: float) -> None:
    m = method("pf-msmtrec")  # towers are seen one by one: the one is left out
    found = step({"a": upload(m, "a", tower=tower(3.0)), "b": upload(m, "b", tower=tower(value))}, m=m)
    assert list(found.gathered.rows) == ["a"]
    assert found.diagnostics["update_norms"] == {"a": 6.0}
    assert found.diagnostics["cosine"] == [[0.0]]  # the method's own: experts that did not move
    assert found.diagnostics["rejected"] == ["scenario 'b' sent 'tower' with NaN or infinite values"]
    with pytest.raises(UserError, match=r"round 1: the scenarios' sum of 'tower' is no finite number"):
        step({"a": upload(FEDAVG, "a", tower=tower(3.0)), "b": upload(FEDAVG, "b", tower=tower(value))})


def test_a_missing_tensor_is_named() -> None:
    found = step({"a": upload(FEDAVG, "a"), "b": Upload("b", 1, (True, True), {})})
    assert found.diagnostics["rejected"] == ["scenario 'b' sent no 'expert.local'"]
    everything = method("fedavg-all")
    sent = {"a": upload(everything, "a"), "b": replace(upload(everything, "b"), tables={})}
    assert step(sent, m=everything).diagnostics["rejected"] == ["scenario 'b' sent no 'shared_embedding'"]


@pytest.mark.parametrize(
    ("ids", "touches", "rows", "fault"),
    [
        ([0, 3], [1, 1], [[1.0], [1.0]], r"with ids outside 0 … 2"),
        ([0, 2], [1, -1], [[1.0], [1.0]], r"with counts below 0"),
        ([0, 1], [1], [[1.0], [1.0]], r"with 2 ids, \(1,\) counts and rows of shape \(2, 1\)"),
        ([0, 1], [1, 1], [[1.0, 2.0], [1.0, 2.0]], r"rows of shape \(2, 2\)"),
        ([0], [1], [[float("nan")]], r"with NaN or infinite values"),
    ],
)
def test_rows_of_a_shared_table_are_looked_at(ids: Any, touches: Any, rows: Any, fault: str) -> None:
    m = method("fedavg-all")
    bad = TableRows(torch.tensor(ids), torch.tensor(touches), torch.tensor(rows))
    sent = {"a": upload(m, "a"), "b": replace(upload(m, "b"), tables={"shared_embedding": bad})}
    (sentence,) = step(sent, m=m).diagnostics["rejected"]
    assert sentence.startswith("scenario 'b' sent 'shared_embedding' with ")
    assert re.search(fault, sentence)


def test_what_scenarios_hold_back_is_written_down() -> None:
    found = step({"a": upload(FEDAVG, "a")}, refused=["scenario 'b' sent 'tower' with NaN or infinite values"])
    assert found.diagnostics["rejected"] == ["scenario 'b' sent 'tower' with NaN or infinite values"]
    nobody = step({}, refused=["x"])
    assert nobody.gathered is None


def aggregated(plan: Plan, state: ServerState[Any], sent: dict[str, Report]) -> Step[Any]:
    """What has come to round 9."""
    asked = [Member(0, name) for name in plan.scenarios]
    found = Incoming.of_round(
        plan, FEDAVG, Standing({0: state}), 9, asked=asked, traffic=Traffic(FEDAVG), clock=Clock()
    )
    assert all(found(Member(0, name), report).upload is None for name, report in sent.items())
    return found.aggregated(0, state, len(sent))


def test_a_round_without_a_usable_update_ends_the_run_but_where_all_are_late_or_one_was_alone() -> None:
    plan = Plan((0,), ("a", "b"), 9, max_staleness=2, expected=EXPECTED, tables=COMMON)
    some = replace(plan, participation=0.5)
    state, no = ServerState(start(FEDAVG), {"a": 8, "b": 8}), Report(refused="scenario 'a' sent 'tower' with NaN")
    for chosen, sent in ((plan, {"a": no}), (plan, {"a": no, "b": no}), (some, {"a": no, "b": no})):
        with pytest.raises(Diverged, match=r"round 9: no scenario sent a usable update \(scenario 'a' sent 'tower'"):
            aggregated(chosen, state, sent)
    assert aggregated(some, state, {"a": no}).gathered is None  # the others may be well
    late = ServerState(start(FEDAVG), {"a": 5, "b": 8})
    found = aggregated(plan, late, {"a": Report(upload=upload(FEDAVG, "a"))})
    assert (found.gathered, found.diagnostics["stale"]) == (None, ["a"])
    one = aggregated(plan, state, {"a": no, "b": Report(upload=upload(FEDAVG, "b"))})
    assert one.gathered is not None
    assert list(one.gathered.rows) == ["b"]


def test_too_old_updates_do_not_count_and_get_a_fresh_start() -> None:
    state = ServerState(start(FEDAVG), {"a": 7, "b": 4})
    uploads = {"a": upload(FEDAVG, "a", tower=tower(2.0)), "b": upload(FEDAVG, "b", tower=tower(100.0))}
    found = step(uploads, state, round_number=8)
    assert list(found.gathered.rows) == ["a"]
    assert found.diagnostics["stale"] == ["b"]
    assert found.diagnostics["staleness"] == {"a": 0, "b": 3}
    assert found.state.owed["b"].model["tower"].tolist() == tower(2.0).tolist()
    assert found.state.held == {"a": 8, "b": 8}


def test_a_scenario_that_missed_a_round_fetches_the_averages_before_it_trains() -> None:
    state, reply = catch_up(FEDAVG, ServerState(start(FEDAVG), {"a": 3}), "a", 6)
    assert reply is not None
    assert reply.model.keys() == EXPECTED["model"].keys()
    assert state.held == {"a": 5}  # its update will be fresh
    assert catch_up(FEDAVG, state, "a", 6) == (state, None)
    paper = method("pf-msmtrec")
    aged, reply = catch_up(paper, ServerState(start(paper), {"a": 3}), "a", 6)
    assert reply is not None
    assert set(reply.model) == {"shared_embedding"}  # personal parameters stay and age
    assert aged.held == {"a": 3}


def test_what_was_sent_and_not_answered_is_owed() -> None:
    first, refresh = Reply({"model": {"gate": COMMON["gate"]}}), Reply({"model": {"tower": tower(7.0)}})
    standing = Standing({0: ServerState(start(FEDAVG), owed={"a": first, "b": first})})
    orders = {Member(0, name): Order(3, reply=first, refresh=refresh, train="rounds") for name in "ab"}
    clock, answered = Clock(), {Member(0, "b"): Report(seconds={"train": 2.0})}
    assert _exchange(lambda _: answered.items(), orders, standing, clock) == answered
    assert {name: set(reply.model) for name, reply in standing.servers[0].owed.items()} == {"a": {"gate", "tower"}}
    assert clock.seconds == {"train": 2.0}


@pytest.mark.parametrize("name, kept", [("fedavg-all", 0), ("pf-msmtrec", 1)])
def test_an_upload_that_is_summed_is_gone_before_the_next_one_comes(name: str, kept: int) -> None:
    """Of personal parameters the server holds every scenario's, of all others only the sum."""
    m, tensors = method(name), dict[str, list[Any]]()
    orders = {Member(0, scenario): Order(1, train="rounds") for scenario in "abc"}

    def exchange(_: object) -> Iterator[tuple[Member, Report]]:
        for number, member in enumerate(orders):
            for of, refs in tensors.items():
                assert sum(ref() is not None for ref in refs) == (kept * number if of != "rows" else 0)
            sent = upload(m, member.scenario, touches=(1, 0, 1))
            sent = replace(sent, slots={"model": {n: value.clone() for n, value in sent.slots["model"].items()}})
            own = {**sent.slots["model"], "rows": sent.tables["shared_embedding"].rows}
            for of, value in own.items():
                tensors.setdefault(of, []).append(weakref.ref(value))
            report = Report(upload=sent)
            del sent, own, value
            yield member, report
            del report

    state = ServerState(start(m))
    plan = Plan((0,), ("a", "b", "c"), 1, expected={"model": {n: COMMON[n] for n in m.network()}}, tables=COMMON)
    standing, clock = Standing({0: state}), Clock()
    incoming = Incoming.of_round(plan, m, standing, 1, asked=orders, traffic=Traffic(m), clock=clock)
    assert _exchange(exchange, orders, standing, clock, incoming).keys() == orders.keys()
    assert list(incoming.aggregated(0, state, 3).gathered.rows) == ["a", "b", "c"]
    assert {"rows", "tower"} <= tensors.keys()


def test_an_upload_that_nobody_asked_for_counts_nowhere() -> None:
    plan = Plan((0,), ("a", "b"), 1, expected=EXPECTED, tables=COMMON)
    state, a, b = ServerState(start(FEDAVG)), Member(0, "a"), Member(0, "b")
    found = Incoming.of_round(plan, FEDAVG, Standing({0: state}), 1, asked=[a], traffic=Traffic(FEDAVG), clock=Clock())
    for member in (a, b):
        found(member, Report(upload=upload(FEDAVG, member.scenario)))
    found(b, Report(refused="scenario 'b' sent 'tower' with NaN"))
    step = found.aggregated(0, state, 1)
    assert step.gathered is not None
    assert list(step.gathered.rows) == ["a"]
    assert step.diagnostics["rejected"] == []


def test_what_is_owed_piles_up_and_is_handed_out_once() -> None:
    m = method("fedavg-all")
    first = Reply({"model": {"tower": tower(7.0), "gate": COMMON["gate"]}, "control": {"tower": tower(1.0)}})
    state = ServerState(start(m)).owing({"a": first}).owing({"a": Reply({"model": {"tower": tower(8.0)}})})
    owed = state.owed["a"]
    assert owed.slots["control"]["tower"].tolist() == tower(1.0).tolist()
    assert owed.model["tower"].tolist() == tower(8.0).tolist()
    assert "gate" in owed.model
    assert state.handed_out({"a"}).owed == {}


def test_a_new_scenario_starts_from_the_consensus_and_does_not_drag_it_back() -> None:
    paper = method("pf-msmtrec")
    state = begin(paper, {d.name: COMMON[d.name] for d in paper.leaving()}, {"a": 1, "b": 1})
    assert state.owed == {}
    five = torch.full((2, 2), 5.0)
    for number in (1, 2, 3):
        sent = {name: upload(paper, name, expert__scenario=five, tower=five) for name in ("a", "b")}
        state = step(sent, state, number, 10, paper).state
    state, welcome = catch_up(paper, state, "late", 4)
    assert welcome is not None
    reply = welcome.model
    assert set(reply) == {"expert.scenario", "tower", "shared_embedding"}
    assert reply["tower"].tolist() == five.tolist()
    assert state.held["late"] == 3
    consensus = reply["expert.scenario"]
    assert consensus.mean() > 2.5
    sent = {
        "a": upload(paper, "a", expert__scenario=five, tower=five),
        "late": upload(paper, "late", expert__scenario=consensus, tower=five),
    }
    found = step(sent, state, 4, 10, paper)
    assert found.state.method.consensus["expert.scenario"].min() >= consensus.min()
    assert found.diagnostics["staleness"] == {"a": 0, "late": 0}


def test_a_method_that_neither_offers_nor_clips_says_so_when_asked() -> None:
    with pytest.raises(TypeError, match="FedAvg makes no offers"):
        FEDAVG.settle(start(FEDAVG), None, {})
    with pytest.raises(TypeError, match="Scaffold does not clip"):
        method("scaffold").last(start(method("scaffold")), "a")


def test_sums_are_all_that_the_server_sees_of_means() -> None:
    m = method("pf-msmtrec", personalization="uniform")
    sent = {name: upload(m, name, rows=3, touches=(2, 0, 1)) for name in ("a", "b")}
    found = gather(m, start(m), sent, COMMON)
    assert all(set(slots["model"]) == {"expert.scenario", "tower"} for slots in found.singles.values())
    assert set(found.sums["model"]) == {"shared_embedding"}
    assert found.sums["model"]["shared_embedding"].weight.flatten().tolist() == [4, 0, 2]
    everything = gather(FEDAVG, start(FEDAVG), {n: upload(FEDAVG, n, rows=3) for n in "ab"}, COMMON)
    assert all(not slots["model"] for slots in everything.singles.values())
    assert float(everything.sums["model"]["gate"].weight.flatten()[0]) == 6
