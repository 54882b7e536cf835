"""Candidates that are judged on several windows of time."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import polars as pl
import pytest

from msmtrec import run
from msmtrec.base.errors import UserError
from msmtrec.config.bench import parse_bench
from msmtrec.record.events import ContenderStarted, Event, Note
from msmtrec.studies.bench import run_bench
from studies.small import BENCH

DATA: dict[str, Any] = {
    "source": "tabular",
    "scenario": "country",
    "tasks": {"click": {"column": "click"}},
    "features": {"user": {"shared": {"hash": 64}}, "price": {"kind": "numeric"}},
    "group": "user",
}


def split_at(train: int, validation: int) -> dict[str, Any]:
    return {"time": "day", "train_until": train, "validation_until": validation}


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    draw = np.random.default_rng(5)
    n = 1200
    price = draw.normal(size=n)
    return pl.DataFrame(
        {
            "country": draw.choice(["NL", "FR"], n),
            "user": draw.integers(0, 40, n),
            "price": price.round(3),
            "day": np.sort(draw.integers(1, 13, n)),
            "click": (draw.random(n) < 1 / (1 + np.exp(-price))).astype(int),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, rows: pl.DataFrame) -> Path:
    found = tmp_path_factory.mktemp("folds")
    rows.write_csv(found / "log.csv")
    return found


def config(folder: Path, **more: Any) -> dict[str, Any]:
    data = {**DATA, "files": str(folder / "log.csv"), "split": split_at(8, 10)}
    return {**BENCH, "data": data, "bench": {**BENCH["bench"], "folds": 3, **more}}


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def finished(folder: Path, events: list[Event]) -> Path:
    run_bench(
        parse_bench(config(folder)), out=folder / "run", observer=events.append, cache=False, caution=lambda _: None
    )
    return folder / "run"


def judged(finished: Path, label: str) -> Any:
    return json.loads((finished / "tuning" / "rung-1" / "contenders" / "local" / label / "validation.json").read_text())


def test_a_fold_is_what_a_run_on_earlier_days_would_have_been(
    finished: Path, folder: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """The fold before validation (days 9, 10) has days 7 and 8, and the one before that 5 and 6."""
    settings = json.loads((finished / "bench.json").read_text())["local"]["candidates"]["c01"]["settings"]
    for number, until in ((1, 6), (2, 4)):
        rows.filter(pl.col("day") <= until + 4).write_csv(tmp_path / "log.csv")
        data = {**DATA, "files": str(tmp_path / "log.csv"), "split": split_at(until, until + 2)}
        own = {key.removeprefix("train."): value for key, value in settings.items()}
        plain = {"data": data, "train": {"rounds": 2, "batch_size": 64, **own}, "methods": ["local"], "seeds": [1000]}
        run(plain, out=tmp_path / f"run-{number}", cache=False, caution=lambda _: None)
        path = tmp_path / f"run-{number}" / "contenders" / "local" / "validation.json"
        assert json.loads(path.read_text()) == judged(finished, f"c01.fold-{number}")


def test_the_mean_over_the_windows_decides(finished: Path) -> None:
    tried = json.loads((finished / "bench.json").read_text())
    for own in tried.values():
        first = {label: one["rungs"][0] for label, one in own["candidates"].items()}
        for label, rung in first.items():
            assert len(rung["folds"]) == 3
            assert rung["auc"] == pytest.approx(fmean(rung["folds"]), abs=1e-12)
            assert rung["goes_on"] == (label == max(first, key=lambda label: first[label]["auc"]))
    found = tried["local"]["candidates"]["c01"]["rungs"][0]["folds"]
    for number, label in enumerate(("c01", "c01.fold-1", "c01.fold-2")):
        assert found[number] == pytest.approx(fmean(entry["auc"] for entry in judged(finished, label)))


def test_the_plan_counts_them_and_the_table_has_the_logs_own_split(
    finished: Path, events: list[Event], rows: pl.DataFrame
) -> None:
    notes = [event.text for event in events if isinstance(event, Note)]
    # 2 contenders: (2 candidates x 2 rounds + 1 x 2 more) x 3 windows, and 4 rounds x 2 seeds, of trainings of 4 rounds
    assert notes[0].startswith("2 contenders, 20 trainings: as much as 13 trainings of one seed over all rounds, 6 for")
    assert any("in 2 rungs, on 3 windows of time" in note for note in notes)
    assert not list((finished / "contenders").glob("*/*fold*"))
    counts = json.loads((finished / "data.json").read_text())["private"]["scenarios"]
    found = sum(counts[name]["rows"]["validation"] for name in ("NL", "FR"))
    assert found == rows.filter(pl.col("day").is_in([9, 10])).height


def test_going_on_trains_nothing_again(finished: Path, folder: Path) -> None:
    before = (finished / "bench.json").read_bytes()
    found: list[Event] = []
    run_bench(
        parse_bench(config(folder)),
        out=finished,
        resume=True,
        observer=found.append,
        cache=False,
        caution=lambda _: None,
    )
    assert not [event for event in found if isinstance(event, ContenderStarted)]
    assert (finished / "bench.json").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "sentence"),
    [({"folds": 9}, "bench.folds: 9 folds, .* give at most 4"), ({"folds": 0}, "bench.folds")],
)
def test_refused(folder: Path, tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        run_bench(parse_bench(config(folder, **more)), out=tmp_path / "x", cache=False, caution=lambda _: None)
    assert not (tmp_path / "x").exists()


def test_other_numbers_of_folds_are_another_benchmark(finished: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"differs in: bench\.folds"):
        run_bench(parse_bench(config(folder, folds=2)), out=finished, resume=True, cache=False, caution=lambda _: None)
