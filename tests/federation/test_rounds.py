"""The loop itself, with real local training: early end, refused uploads, absent scenarios."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
import torch

from methods.federation import Case, Federation, Quiet
from msmtrec.base.member import Member
from msmtrec.config.parse import Contender, parse_config
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import Measure
from msmtrec.experiment.contender import run_contender
from msmtrec.federation import scenario as scenario_module
from msmtrec.federation.checkpoint import load_server
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.rounds import _note, _over
from msmtrec.federation.server import ServerState
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.federation.standing import Kept, Plan, Standing
from msmtrec.methods.fedavg import Means
from msmtrec.record.directory import read_json, read_lines
from msmtrec.record.events import Event, Progress
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
    for place in ("contender", "here"):  # where a checkpoint is, and where none is
        monkeypatch.setattr(f"msmtrec.experiment.{place}.InProcess", kind)

    def observe(event: Event) -> None:
        if isinstance(event, Progress):
            done.append(event.done)

    run_contender(contender, data, (0, 1), folder, observe, 1)
    return done


class Rehearsed(InProcess):
    """Validation AUC as written in the script: the best round is known."""

    script: Mapping[int, float] = {}

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        def validate(_site: object, _: object, members: list[Member]) -> Iterator[tuple[Member, list[Measure]]]:
            for member in members:
                number = orders[member].measure or orders[member].round
                auc = self.script.get(number, 0.5) - 0.01 * member.seed * number
                yield member, [Measure(member.scenario, "click", auc, 0.7, rows=10, positives=5)]

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
    assert ["fine-tune" in line["seconds"] for line in lines] == [False] * 4 + [True] * 2
    tuned = [m for m in read_lines(tmp_path / "fedavg+ft" / "metrics.jsonl") if m["stage"] == "fine-tune"]
    assert sorted((m["round"], m["seed"]) for m in tuned if m["scenario"] == "scenario-0") == [
        (5, 0), (5, 1), (6, 0), (6, 1)
    ]  # fmt: skip
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


def test_who_does_not_answer_keeps_the_best_round_that_is_known() -> None:
    servers: dict[int, ServerState[None]] = {0: ServerState(None, {"a": 3})}
    standing: Standing[None] = Standing(servers, round=3, best={0: {"a": 1, "b": 2}}, measured=False)
    found = (
        Measure("a", "click", 0.7, 0.6, rows=10, positives=5),
        Measure("a", "like", 0.5, 0.6, rows=10, positives=5),
    )
    journal = Quiet()
    for _ in range(2):  # a round is written down once
        _note(standing, journal, {Member(0, "a"): Report(measured=found, best={"a": (3, 0.6)})}, servers)
    assert standing.best == {0: {"a": 3, "b": 2}}
    assert standing.kept == {0: Kept(3, 0.6, servers[0])}
    assert journal.found == [(3, "after", {Member(0, "a"): found})]


class Counted(Rehearsed):
    """Remembers which orders were sent."""

    orders: ClassVar[list[dict[Member, Order]]] = []

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
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
    assert all((order.train, order.measure, order.round) == (None, 4, 5) for order in last)  # it closes round 4


def test_no_round_is_trained_for_nothing(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counted, "orders", [])
    monkeypatch.setattr(Counted, "script", {1: 0.6})
    run(one_contender("fedavg", rounds=9, patience=2), synthetic, tmp_path / "one", monkeypatch, Counted)
    trained = {order.round for orders in Counted.orders for order in orders.values() if order.train}
    assert trained == {1, 2, 3}


def test_the_run_may_be_resumed_from_every_round() -> None:
    assert Federation(Case("fedavg"), 3).run().journal.checkpoints == [1, 2, 3]


def test_the_server_of_the_best_mean_round_is_kept(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rehearsed, "script", {1: 0.6, 2: 0.605, 3: 0.62})
    run(one_contender("fedavg", evaluate_before=False), synthetic, tmp_path / "one", monkeypatch, Rehearsed)
    kept = [load_server(tmp_path / "one" / "server" / f"seed{seed}.safetensors", Means) for seed in (0, 1)]
    assert [(found.round, round(found.score, 3)) for found in kept] == [(3, 0.62), (1, 0.59)]
    assert kept[0].server.held == dict.fromkeys(synthetic.scenarios, 3)


def test_only_rows_that_the_batches_used_leave(
    synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam's momentum moves rows of earlier rounds too; they would show which ids those rounds had."""
    seen: list[tuple[int, int, int]] = []

    class Listening(InProcess):
        def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
            plans: dict[Member, torch.Tensor] = {}

            def remember(*arguments: Any, **more: Any) -> dict[Member, Trained]:
                found = run_phase(*arguments, **more)
                plans.update({member: trained.rows for member, trained in found.items()})
                return found

            with patch.object(scenario_module, "run_phase", remember):
                reports = dict(super().__call__(orders))
            for member, report in reports.items():
                if report.upload is not None:
                    rows, split = synthetic.tables[member.scenario].splits["train"], synthetic.layout.private_columns
                    shared = rows.take(plans[member].numpy()).table_ids[:, split:]
                    sent = report.upload.tables["shared_embedding"]
                    assert sent.ids.tolist() == sorted(set(shared.flatten().tolist()))
                    assert int(sent.touches.sum()) == shared.size
                    used = len(self.site.deck.used[member.scenario])
                    seen.append((orders[member].round, len(sent.ids), used))
            return reports.items()

    run(one_contender("fedavg-all", rounds=3, local_steps=1), synthetic, tmp_path / "one", monkeypatch, Listening)
    assert len(seen) == 3 * 2 * 3
    assert any(sent < used for _, sent, used in seen)
