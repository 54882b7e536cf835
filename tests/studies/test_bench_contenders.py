"""Benchmarks of contenders that are no plain networks: one that diverges, fine-tuned ones, ones with statistics."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from msmtrec import UserError
from msmtrec.record.events import Event
from msmtrec.statistics.ledger_files import load_ledger
from studies.small import BENCH, changed
from studies.test_bench import bench, rungs_tried, trained


def test_a_contender_whose_candidates_come_to_nothing_is_left_out(tmp_path: Path) -> None:
    raw = changed("bench.space", {"train.local_steps": [2]})
    rates = {"train.learning_rate": [1e30, 1e31]}
    events: list[Event] = []
    found = bench(
        {**raw, "methods": {"local": None, "fedavg": {"space": rates}}}, tmp_path / "f", observer=events.append
    )
    assert found is not None
    assert found.contenders == ("local",)
    assert trained(events) == ["fedavg/c01", "fedavg/c02", "local"]  # of local there is but one candidate
    assert [note for note in found.results.notes if "2 candidates were drawn from its space; one was chosen" in note]
    assert [note for note in found.results.notes if note.startswith("fedavg is not in the table: all its candidates")]
    tried = json.loads((tmp_path / "f" / "bench.json").read_text())
    assert tried["fedavg"]["chosen"] is None
    assert tried["local"] == {
        "chosen": "c01",
        "candidates": {"c01": {"settings": {"train.local_steps": 2}, "rungs": []}},
    }
    with pytest.raises(UserError, match="local: "):
        bench({**raw, "methods": {"fedavg": None, "local": {"space": rates}}}, tmp_path / "g")


def test_a_fine_tuned_contender_has_two_columns_and_is_fine_tuned_in_the_last_rung(tmp_path: Path) -> None:
    methods = {"local": None, "fedavg": {"fine_tune": {"rounds": 2}}}
    space = {**BENCH["bench"]["space"], "fine_tune.learning_rate": [1e-3, 1e-2]}
    found = bench({**changed("bench.space", space), "methods": methods}, tmp_path / "h")
    assert found is not None
    assert found.contenders == ("local", "fedavg", "fedavg+ft")
    for rung, columns in ((1, {"local", "fedavg"}), (2, {"local", "fedavg", "fedavg+ft"})):
        assert {path.name for path in (tmp_path / "h" / "tuning" / f"rung-{rung}" / "contenders").iterdir()} == columns
    assert not list((tmp_path / "h" / "tuning").rglob("*.safetensors"))
    (label,) = [path.name for path in (tmp_path / "h" / "tuning" / "rung-2" / "contenders" / "fedavg+ft").iterdir()]
    tried = json.loads((tmp_path / "h" / "bench.json").read_text())["fedavg"]
    assert tried["chosen"] == label
    columns = [tmp_path / "h" / "tuning" / "rung-2" / "contenders" / name / label for name in ("fedavg", "fedavg+ft")]
    aucs = [[entry["auc"] for entry in json.loads((folder / "validation.json").read_text())] for folder in columns]
    assert rungs_tried({"fedavg": tried}, "fedavg", label)[1]["auc"] == pytest.approx(max(sum(auc) / 2 for auc in aucs))
    assert {line["contender"] for line in csv.DictReader((tmp_path / "h" / "bench.csv").open())} == set(
        found.contenders
    )


def test_what_has_statistics_keeps_what_newer_rows_are_added_to(tmp_path: Path) -> None:
    methods = {"local": None, "fedavg": {"statistics": {"least": 5}}}
    for contenders in ({"local": None}, methods):
        bench({**BENCH, "methods": contenders}, tmp_path / "i", resume=contenders is methods)
        assert (tmp_path / "i" / "ledgers").exists() == (contenders is methods)
    (one, *_) = (tmp_path / "i" / "ledgers").rglob("*.safetensors")
    assert set(load_ledger(one).fields) == {"user", "item", "segment"}


def test_a_contender_more_counts_its_fields_too(tmp_path: Path) -> None:
    methods: dict[str, Any] = {"linear": {"statistics": {"fields": ["user"]}}}
    raw = changed("bench.space", {"statistics.ridge": [5, 10]})
    bench({**raw, "methods": methods}, tmp_path / "j")
    methods["more"] = {"method": "linear", "statistics": {"fields": ["item"]}}
    bench({**raw, "methods": methods}, tmp_path / "j", resume=True)
    (one, *_) = (tmp_path / "j" / "ledgers").rglob("*.safetensors")
    assert set(load_ledger(one).fields) == {"user", "item"}
