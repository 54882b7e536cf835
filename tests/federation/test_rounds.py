"""The loop itself, with real local training: early end, refused uploads, absent scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from msmtrec.base.member import Member
from msmtrec.config.parse import Contender, parse_config
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import Measure
from msmtrec.experiment import contender as contender_module
from msmtrec.federation.member import ClientState
from msmtrec.federation.rounds import Plan, still_learning, taking_part
from msmtrec.methods.base import Upload
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

    def measure(self, member: Member, state: ClientState, split: str) -> list[Measure]:
        auc = self.script.get(self.rounds_done, 0.5) - 0.01 * member.seed * self.rounds_done
        return [Measure(member.scenario, "click", auc, 0.7, 10, 5)]


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
    class Known:
        def best_rounds(self, seed: int) -> list[int]:
            return {0: [2, 7], 1: [1, 3]}[seed]

    plan = Plan((0, 1), ("a", "b"), rounds=20, patience=3)
    assert still_learning(plan, Known(), 3) == (0, 1)  # type: ignore[arg-type]
    assert still_learning(plan, Known(), 6) == (0, 1)  # type: ignore[arg-type]
    assert still_learning(plan, Known(), 7) == (0,)  # type: ignore[arg-type]
    assert still_learning(plan, Known(), 10) == (0,)  # type: ignore[arg-type]
    assert still_learning(plan, Known(), 11) == ()  # type: ignore[arg-type]


class Poisoned(InProcess):
    """The second scenario's training explodes in round 2."""

    snapshots: ClassVar[list[tuple[ClientState, ClientState]]] = []

    def run(self, jobs: Any, optimiser: Any) -> dict[Member, torch.Tensor]:
        used = super().run(jobs, optimiser)
        if self.rounds_done == 1:
            for member in [m for m in self.states if m.scenario == "scenario-1"]:
                state = self.states[member]
                for name in state.parameters:
                    state.parameters[name] = torch.full_like(state.parameters[name], torch.nan)
                    state.second[name] = torch.full_like(state.second[name], torch.inf)
        return used

    def restore(self, members: list[Member]) -> None:
        super().restore(members)
        Poisoned.snapshots += [(self.before[m], self.states[m]) for m in members]


@pytest.mark.parametrize("method", ["fedavg-all", "pf-msmtrec"])
def test_a_refused_upload_costs_one_round_and_nothing_else(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Poisoned, "snapshots", [])
    run(one_contender(method), synthetic, tmp_path / "one", monkeypatch, Poisoned)
    rounds = read_lines(tmp_path / "one" / "rounds.jsonl")
    refused = {line["round"]: line["diagnostics"]["0"]["rejected"] for line in rounds}
    assert [number for number, reasons in refused.items() if reasons] == [2]
    assert "scenario 'scenario-1' sent" in refused[2][0]
    assert "NaN" in refused[2][0]
    assert set(rounds[2]["diagnostics"]["0"]["update_norms"]) == set(synthetic.scenarios)  # it counts again
    assert rounds[2]["diagnostics"]["0"]["staleness"]["scenario-1"] == (1 if method == "pf-msmtrec" else 0)
    assert len(Poisoned.snapshots) == 2
    for before, after in Poisoned.snapshots:
        assert all(torch.equal(value, after.parameters[name]) for name, value in before.parameters.items())
        assert all(torch.equal(value, after.second[name]) for name, value in before.second.items())
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


class Watched(InProcess):
    """Remembers what absent scenarios hold when a round begins, and looks again when it ends."""

    absent: ClassVar[dict[Member, ClientState]] = {}
    compared: ClassVar[list[bool]] = []

    def train(self, members: list[Member]) -> dict[Member, Upload]:
        Watched.absent.clear()
        Watched.absent.update({m: s for m, s in self.states.items() if m not in members})
        return super().train(members)

    def evaluate(self, members: list[Member], stage: str) -> dict[Member, list[Measure]]:
        for member, before in Watched.absent.items():
            now = self.states[member]
            groups = ((before.parameters, now.parameters), (before.first, now.first), (before.second, now.second))
            same = all(torch.equal(one[name], two[name]) for one, two in groups for name in one)
            Watched.compared.append(same and (before.step, before.betas) == (now.step, now.betas))
        return super().evaluate(members, stage)


@pytest.mark.parametrize("method", ["fedavg-all", "pf-msmtrec"])
def test_an_absent_scenario_does_not_change_at_all(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "compared", [])
    run(one_contender(method, rounds=5, participation=0.5), synthetic, tmp_path / "one", monkeypatch, Watched)
    assert len(Watched.compared) > 5
    assert all(Watched.compared)
