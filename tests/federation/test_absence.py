"""Scenarios that are absent, refused, unreachable or late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
import torch

from federation.test_rounds import one_contender, run
from msmtrec.base.member import Member
from msmtrec.data.table import EncodedData
from msmtrec.federation import rounds as rounds_module
from msmtrec.federation import scenario as scenario_module
from msmtrec.federation.memory import Memory, load
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.federation.standing import Plan, taking_part
from msmtrec.record.directory import read_lines
from msmtrec.runtime.in_process import InProcess


class Unreachable(InProcess):
    """The second scenario does not answer in round 2, and keeps everything as it was."""

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        return super().__call__({m: o for m, o in orders.items() if m.scenario != "scenario-1" or o.round != 2})


@pytest.mark.parametrize("method", ["fedavg-all", "pf-msmtrec"])
def test_a_scenario_that_does_not_answer_was_not_there_and_is_owed_what_it_missed(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(one_contender(method), synthetic, tmp_path / "one", monkeypatch, Unreachable)
    rounds = read_lines(tmp_path / "one" / "rounds.jsonl")
    others = [name for name in synthetic.scenarios if name != "scenario-1"]
    assert [line["took_part"]["0"] for line in rounds] == [
        list(synthetic.scenarios),
        others,
        *[[*synthetic.scenarios]] * 2,
    ]
    assert set(rounds[1]["diagnostics"]["0"]["update_norms"]) == set(others)
    assert rounds[2]["diagnostics"]["0"]["staleness"]["scenario-1"] == (1 if method == "pf-msmtrec" else 0)
    metrics = read_lines(tmp_path / "one" / "metrics.jsonl")
    assert not [m for m in metrics if m["scenario"] == "scenario-1" and (m["round"], m["stage"]) == (1, "after")]


class Deaf(InProcess):
    """The second scenario trains, but does not answer the offer of round 2."""

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        return super().__call__(
            {m: o for m, o in orders.items() if o.offer is None or m.scenario != "scenario-1" or o.round != 2}
        )


@pytest.mark.parametrize("towers", ["held-out", "uniform"])
def test_whoever_misses_the_second_exchange_gets_the_reply_later(
    towers: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contender = one_contender("pf-msmtrec", rounds=3)
    contender = replace(contender, settings=contender.settings.model_copy(update={"towers": towers}))
    orders: list[Mapping[Member, Order]] = []

    class Listening(Deaf):
        def __call__(self, given: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
            orders.append(given)
            return super().__call__(given)

    run(contender, synthetic, tmp_path / "one", monkeypatch, Listening)
    late = next(o[Member(0, "scenario-1")] for o in orders if any(x.round == 3 for x in o.values()))
    assert late.reply is not None
    names = {"shared_embedding"} | (
        {n for n in late.reply.model if n.startswith("tower")} if towers == "uniform" else set()
    )
    assert set(late.reply.model) == names
    assert towers == "held-out" or len(names) > 1


def test_what_is_measured_of_a_round_does_not_depend_on_who_trains_next(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catch-up of a scenario that was absent is loaded after the last round's result has been measured."""
    contender = one_contender("fedavg-all", rounds=4, participation=0.5, stack="off")  # alone: the same bytes
    lines = {}
    for patience in (None, 1):  # with patience 1 many rounds are measured alone
        folder = tmp_path / str(patience)
        train = contender.train.model_copy(update={"patience": patience})
        run(replace(contender, train=train), synthetic, folder, monkeypatch)
        lines[patience] = [m for m in read_lines(folder / "metrics.jsonl") if m["stage"] == "after"]
    assert lines[1]
    assert all(line in lines[None] for line in lines[1])


def test_one_who_is_refused_alone_does_not_end_the_others(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {1: ["scenario-0", "scenario-1", "scenario-2"], 2: ["scenario-1"], 3: ["scenario-0", "scenario-1"]}
    monkeypatch.setattr(
        rounds_module, "taking_part", lambda plan, seeds, number: [Member(s, n) for s in seeds for n in there[number]]
    )
    run(one_contender("fedavg", rounds=3, participation=0.5), synthetic, tmp_path / "one", monkeypatch, Poisoned)
    rounds = read_lines(tmp_path / "one" / "rounds.jsonl")
    assert "NaN" in rounds[1]["diagnostics"]["0"]["rejected"][0]
    assert set(rounds[2]["diagnostics"]["0"]["update_norms"]) == {"scenario-0", "scenario-1"}


class Poisoned(InProcess):
    """The second scenario's training explodes in round 2."""

    before: ClassVar[dict[Member, Memory]] = {}
    after: ClassVar[dict[Member, Memory]] = {}

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        poisoned = {m for m, o in orders.items() if m.scenario == "scenario-1" and o.train and o.round == 2}

        def explode(*arguments: Any, **more: Any) -> dict[Member, Trained]:
            found = run_phase(*arguments, **more)
            for job in arguments[2]:
                if job.member in poisoned:
                    Poisoned.before[job.member] = job.memory
                    nan = {n: torch.full_like(v, torch.nan) for n, v in found[job.member].memory.model.items()}
                    spoiled = found[job.member].memory.put({"model": nan, "model.v": nan})
                    found[job.member] = replace(found[job.member], memory=spoiled)
            return found

        with patch.object(scenario_module, "run_phase", explode):
            reports = dict(super().__call__(orders))
        Poisoned.after |= {member: self.memories[member] for member in poisoned}
        return reports.items()


@pytest.mark.parametrize("method", ["fedavg-all", "pf-msmtrec"])
def test_a_refused_upload_costs_one_round_and_nothing_else(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Poisoned, "before", {})
    monkeypatch.setattr(Poisoned, "after", {})
    run(one_contender(method), synthetic, tmp_path / "one", monkeypatch, Poisoned)
    rounds = read_lines(tmp_path / "one" / "rounds.jsonl")
    refused = {line["round"]: line["diagnostics"]["0"]["rejected"] for line in rounds}
    assert [number for number, reasons in refused.items() if reasons] == [2]
    assert "scenario 'scenario-1' sent" in refused[2][0]
    assert "NaN" in refused[2][0]
    assert set(rounds[2]["diagnostics"]["0"]["update_norms"]) == set(synthetic.scenarios)  # it counts again
    assert rounds[2]["diagnostics"]["0"]["staleness"]["scenario-1"] == (1 if method == "pf-msmtrec" else 0)
    assert len(Poisoned.after) == 2
    for member, before in Poisoned.before.items():
        assert same_tensors(before, Poisoned.after[member])
        assert Poisoned.after[member].steps == before.steps + 3  # the next round takes the rows after these
        assert Poisoned.after[member].counters == before.counters  # the moments have not seen them
    metrics = read_lines(tmp_path / "one" / "metrics.jsonl")
    found = [m for m in metrics if m["scenario"] == "scenario-1" and m["stage"] == "after"]
    assert all(m["auc"] is not None for m in found)


@pytest.mark.parametrize("method", ["fedavg", "pf-msmtrec"])
def test_an_absent_scenario_sends_nothing_and_its_age_is_written_down(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contender = one_contender(method, rounds=6, participation=0.5)
    run(contender, synthetic, tmp_path / "one", monkeypatch)
    plan = Plan((0, 1), synthetic.scenarios, 6, participation=0.5)
    absent, before = 0, [m for m in read_lines(tmp_path / "one" / "metrics.jsonl") if m["stage"] == "before"]
    for line in read_lines(tmp_path / "one" / "rounds.jsonl"):
        there = [m.scenario for m in taking_part(plan, (0,), line["round"]) if m.seed == 0]
        assert line["took_part"]["0"] == there
        absent += len(synthetic.scenarios) - len(there)
        assert {m["scenario"] for m in before if (m["round"], m["seed"]) == (line["round"], 0)} == set(there)
        if there:
            assert set(line["diagnostics"]["0"]["update_norms"]) == set(there)
            if method == "pf-msmtrec":
                assert max(line["diagnostics"]["0"]["staleness"].values()) < line["round"]
    assert absent > 0


def same_tensors(one: Memory, two: Memory) -> bool:
    return one.slots.keys() == two.slots.keys() and all(
        torch.equal(value, two.slots[slot][name]) for slot, held in one.slots.items() for name, value in held.items()
    )


class Watched(InProcess):
    """Looks at scenarios that do not train: they load what they were sent, and nothing else changes."""

    compared: ClassVar[list[bool]] = []
    trained: ClassVar[set[tuple[int, Member]]] = set()
    caught_up: ClassVar[set[tuple[int, Member]]] = set()

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        before = dict(self.memories)
        Watched.trained |= {(order.round, member) for member, order in orders.items() if order.train}
        Watched.caught_up |= {(order.round, member) for member, order in orders.items() if order.refresh}
        reports = dict(super().__call__(orders))
        for member, was in before.items():
            order, now = orders.get(member), self.memories[member]
            if order is not None and (order.train or order.offer):
                continue
            if order is not None and order.reply is not None:
                used = self.site.deck.used[member.scenario]
                was = load(was, order.reply.slots, used, self.site.shared)
            Watched.compared.append(same_tensors(was, now) and (was.clocks, was.betas) == (now.clocks, now.betas))
        return reports.items()


@pytest.mark.parametrize("method", ["fedavg-all", "pf-msmtrec"])
def test_an_absent_scenario_does_not_change_at_all(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "compared", [])
    monkeypatch.setattr(Watched, "trained", set())
    monkeypatch.setattr(Watched, "caught_up", set())
    run(one_contender(method, rounds=5, participation=0.5), synthetic, tmp_path / "one", monkeypatch, Watched)
    assert len(Watched.compared) > 5
    assert all(Watched.compared)
    plan = Plan((0, 1), synthetic.scenarios, 5, participation=0.5)
    there = {n: set(taking_part(plan, (0, 1), n)) for n in range(1, 6)}
    assert Watched.trained == {(n, member) for n, members in there.items() for member in members}
    assert Watched.caught_up == {(n, member) for n in range(2, 6) for member in there[n] - there[n - 1]} != set()
