"""The loop itself, with real local training: early end, refused uploads, absent scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
import torch

from msmtrec.base.member import Member
from msmtrec.config.parse import Contender, parse_config
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import Measure
from msmtrec.experiment import contender as contender_module
from msmtrec.federation import rounds as rounds_module
from msmtrec.federation import scenario as scenario_module
from msmtrec.federation.checkpoint import load_server
from msmtrec.federation.memory import Memory, load
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.rounds import Plan, Standing, _over, taking_part
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.methods.fedavg import Means
from msmtrec.record.directory import read_json, read_lines
from msmtrec.runtime.in_process import InProcess


def one_contender(method: str, rounds: int = 4, **train: Any) -> Contender:
    return parse_config(
        {
            "data": {"source": "synthetic"},
            "train": {"rounds": rounds, "local_steps": 3, "batch_size": 64, **train},
            "methods": {method: None},
        }
    ).contenders[0][0]


def run(
    contender: Contender,
    data: EncodedData,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[InProcess] = InProcess,
) -> list[int]:
    done: list[int] = []
    monkeypatch.setattr(contender_module, "InProcess", kind)
    contender_module.run_contender(contender, data, (0, 1), folder, lambda number, _total: done.append(number), 1)
    return done


class Rehearsed(InProcess):
    """Validation AUC as written in the script: the best round is known."""

    script: Mapping[int, float] = {}

    def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
        def validate(_site: object, member: Member, _memory: Memory) -> list[Measure]:
            number = orders[member].measure or orders[member].round
            auc = self.script.get(number, 0.5) - 0.01 * member.seed * number
            return [Measure(member.scenario, "click", auc, 0.7, 10, 5)]

        with patch.object(scenario_module, "validate", validate):
            return super().__call__(orders)


@pytest.mark.parametrize("patience, seed_0, seed_1", [(2, 5, 3), (4, 7, 5), (None, 9, 9)])
def test_a_federation_ends_when_no_scenario_gets_better(
    patience: int | None,
    seed_0: int,
    seed_1: int,
    synthetic: EncodedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # seed 0 is best in round 3; seed 1, minus .01 a round, in round 1
    monkeypatch.setattr(Rehearsed, "script", {1: 0.6, 2: 0.605, 3: 0.62})
    contender = one_contender("fedavg", rounds=9, patience=patience, evaluate_before=False)
    done = run(contender, synthetic, tmp_path / "one", monkeypatch, Rehearsed)
    lines = read_lines(tmp_path / "one" / "rounds.jsonl")
    for seed, last in ((0, seed_0), (1, seed_1)):
        assert [line["round"] for line in lines if str(seed) in line["took_part"]] == list(range(1, last + 1))
    assert done[-1] == 9  # the progress bar is full
    chosen = {(c["seed"], c["round"]) for c in read_json(tmp_path / "one" / "validation.json")}
    assert chosen == {(0, 3), (1, 1)}


def test_fine_tuning_is_counted_on_from_the_last_round_that_was_run(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rehearsed, "script", {1: 0.6, 2: 0.61})
    raw = {"train": {"rounds": 9, "patience": 2, "local_steps": 2, "evaluate_before": False}, "seeds": 2}
    methods = {"fedavg": {"fine_tune": {"rounds": 2, "patience": 2}}}
    contender = parse_config({"data": {"source": "synthetic"}, "methods": methods, **raw}).contenders[0][0]
    done = run(contender, synthetic, tmp_path / "one", monkeypatch, Rehearsed)
    lines = read_lines(tmp_path / "one" / "rounds.jsonl")
    assert [line["round"] for line in lines] == [1, 2, 3, 4]  # best in 2, patience 2
    lines = read_lines(tmp_path / "fedavg+ft" / "rounds.jsonl")
    assert [line["round"] for line in lines] == [1, 2, 3, 4, 5, 6]  # and two of fine-tuning
    assert done == sorted(done)
    assert done[-1] == 11  # the bar: nine rounds and two


def test_a_round_without_an_auc_is_beaten_by_any_round_with_one(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rehearsed, "script", {1: torch.nan, 2: 0.6, 3: torch.nan, 4: 0.5})
    run(one_contender("fedavg", evaluate_before=False), synthetic, tmp_path / "one", monkeypatch, Rehearsed)
    assert {c["round"] for c in read_json(tmp_path / "one" / "validation.json")} == {2}


def test_patience_looks_at_the_latest_best_round_of_any_scenario() -> None:
    plan = Plan((0, 1), ("a", "b"), rounds=20, patience=3)
    best = {0: {"a": 2, "b": 7}, 1: {"a": 1, "b": 3}}
    for after, over in ((2, []), (5, []), (6, [1]), (9, [1]), (10, [0, 1])):
        standing: Standing[Any] = Standing({}, round=after, best=best)
        assert [seed for seed in plan.seeds if _over(plan, standing, seed)] == over


class Counted(Rehearsed):
    """Remembers which orders were sent."""

    orders: ClassVar[list[dict[Member, Order]]] = []

    def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
        Counted.orders.append(dict(orders))
        return super().__call__(orders)


@pytest.mark.parametrize("method, exchanges", [("fedavg", 1), ("pf-msmtrec", 2)])
def test_a_round_takes_as_few_exchanges_as_its_method_allows(
    method: str, exchanges: int, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counted, "orders", [])
    run(one_contender(method, rounds=4), synthetic, tmp_path / "one", monkeypatch, Counted)
    assert len(Counted.orders) == 4 * exchanges + 1
    last = Counted.orders[-1].values()
    assert all(order.train is None and order.measure == 4 for order in last)


def test_no_round_is_trained_for_nothing(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counted, "orders", [])
    monkeypatch.setattr(Counted, "script", {1: 0.6})
    run(one_contender("fedavg", rounds=9, patience=2), synthetic, tmp_path / "one", monkeypatch, Counted)
    trained = {order.round for orders in Counted.orders for order in orders.values() if order.train}
    assert trained == {1, 2, 3}


def test_the_server_of_the_best_mean_round_is_kept(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rehearsed, "script", {1: 0.6, 2: 0.605, 3: 0.62})
    run(one_contender("fedavg", evaluate_before=False), synthetic, tmp_path / "one", monkeypatch, Rehearsed)
    kept = [load_server(tmp_path / "one" / "server" / f"seed{seed}.safetensors", Means) for seed in (0, 1)]
    assert [(found.round, round(found.score, 3)) for found in kept] == [(3, 0.62), (1, 0.59)]
    assert kept[0].server.held == dict.fromkeys(synthetic.scenarios, 3)


class Unreachable(InProcess):
    """The second scenario does not answer in round 2, and keeps everything as it was."""

    def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
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

    def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
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
        def __call__(self, given: Mapping[Member, Order]) -> Mapping[Member, Report]:
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
    contender = one_contender("fedavg-all", rounds=4, participation=0.5)
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

    def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
        poisoned = {m for m, o in orders.items() if m.scenario == "scenario-1" and o.train and o.round == 2}

        def explode(*arguments: Any) -> dict[Member, Trained]:
            found = run_phase(*arguments)
            for job in arguments[2]:
                if job.member in poisoned:
                    Poisoned.before[job.member] = job.memory
                    nan = {n: torch.full_like(v, torch.nan) for n, v in found[job.member].memory.model.items()}
                    spoiled = found[job.member].memory.put({"model": nan, "model.v": nan})
                    found[job.member] = replace(found[job.member], memory=spoiled)
            return found

        with patch.object(scenario_module, "run_phase", explode):
            reports = super().__call__(orders)
        Poisoned.after |= {member: self.memories[member] for member in poisoned}
        return reports


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
    absent = 0
    for line in read_lines(tmp_path / "one" / "rounds.jsonl"):
        there = [m.scenario for m in taking_part(plan, (0,), line["round"]) if m.seed == 0]
        assert line["took_part"]["0"] == there
        absent += len(synthetic.scenarios) - len(there)
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

    def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
        before = dict(self.memories)
        reports = super().__call__(orders)
        for member, was in before.items():
            order, now = orders.get(member), self.memories[member]
            if order is not None and (order.train or order.offer):
                continue
            if order is not None and order.reply is not None:
                used = self.site.deck.used[member.scenario]
                was = load(was, order.reply.slots, used, self.site.shared)
            Watched.compared.append(same_tensors(was, now) and (was.clocks, was.betas) == (now.clocks, now.betas))
        return reports


@pytest.mark.parametrize("method", ["fedavg-all", "pf-msmtrec"])
def test_an_absent_scenario_does_not_change_at_all(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "compared", [])
    run(one_contender(method, rounds=5, participation=0.5), synthetic, tmp_path / "one", monkeypatch, Watched)
    assert len(Watched.compared) > 5
    assert all(Watched.compared)


def test_only_rows_that_the_batches_used_leave(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam's momentum moves rows of earlier rounds too; they would show which ids those rounds had."""
    seen: list[tuple[int, int, int]] = []

    class Listening(InProcess):
        def __call__(self, orders: Mapping[Member, Order]) -> Mapping[Member, Report]:
            plans: dict[Member, torch.Tensor] = {}

            def remember(*arguments: Any) -> dict[Member, Trained]:
                found = run_phase(*arguments)
                plans.update({member: trained.rows for member, trained in found.items()})
                return found

            with patch.object(scenario_module, "run_phase", remember):
                reports = super().__call__(orders)
            for member, report in reports.items():
                if report.upload is not None:
                    rows = synthetic.tables[member.scenario].splits["train"]
                    shared = rows.ids[plans[member].numpy()][:, synthetic.layout.private_columns :]
                    sent = report.upload.tables["shared_embedding"]
                    assert sent.ids.tolist() == sorted(set(shared.flatten().tolist()))
                    assert int(sent.touches.sum()) == shared.size
                    used = len(self.site.deck.used[member.scenario])
                    seen.append((orders[member].round, len(sent.ids), used))
            return reports

    run(one_contender("fedavg-all", rounds=3, local_steps=1), synthetic, tmp_path / "one", monkeypatch, Listening)
    assert len(seen) == 3 * 2 * 3
    assert any(sent < used for _, sent, used in seen)
