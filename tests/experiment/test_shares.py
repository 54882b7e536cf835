"""When a contender's scenarios are divided over processes, and that a run then ends as it would in one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from msmtrec import run
from msmtrec.base.member import Member
from msmtrec.config.parse import parse_config
from msmtrec.data.table import EncodedData
from msmtrec.experiment import contender as module
from msmtrec.experiment import shares
from msmtrec.experiment.shares import shares_of
from msmtrec.experiment.sites import site_of
from msmtrec.record.events import Event, Progress, ignore

CONFIG: dict[str, Any] = {
    "name": "divided",
    "data": {"source": "synthetic", "scenarios": 3, "rows": [900, 400, 600], "users": 60, "items": 40},
    "train": {"rounds": 3, "local_steps": 4, "batch_size": 64, "dtype": "float64", "threads": 2, "checkpoint_every": 1},
    "methods": {"recommended": {"method": "pf-msmtrec", "fine_tune": {"rounds": 2, "patience": 2}}},
    "seeds": 2,
    "jobs": 1,
}


def divided(
    data: EncodedData, threads: int = 2, folder: Path | None = Path("cache"), **train: Any
) -> list[list[Member]]:
    config = {**CONFIG, "train": {**CONFIG["train"], **train}}
    contender = parse_config(config).contenders[0][0]
    data = replace(data, folder=folder)
    members = [Member(seed, name) for seed in (0, 1) for name in data.scenarios]
    return shares_of(contender.rounds, data, site_of(contender, data), members, threads)


def test_where_much_is_to_do_every_core_gets_alike_members(synthetic: EncodedData) -> None:
    found = divided(synthetic, rounds=20_000, batch_size={"scenario-0": 64, "scenario-1": 8, "scenario-2": 16})
    sizes = [sorted(member.scenario for member in share) for share in found]
    assert sizes == [["scenario-0", "scenario-1", "scenario-2"]] * 2
    assert len(divided(synthetic, threads=9, rounds=20_000)) == 6


def test_few_steps_of_a_large_network_are_much_too(synthetic: EncodedData, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(divided(synthetic)) == 1
    monkeypatch.setattr(shares, "PRODUCTS", 1e6)
    assert len(divided(synthetic)) == 2


@pytest.mark.parametrize(
    ("why", "settings"),
    [
        ("one thread", {"threads": 1}),
        ("little to do", {"rounds": 10}),
        ("asked to be one computation", {"stack": "all"}),
        ("no file that another process could open", {"folder": None}),
    ],
)
def test_where_processes_gain_nothing_there_is_one(synthetic: EncodedData, why: str, settings: dict[str, Any]) -> None:
    assert len(divided(synthetic, **{"rounds": 20_000, **settings})) == 1, why


class Stopped(Exception):
    pass


def stop_after_two(event: Event) -> None:
    if isinstance(event, Progress) and event.done == 2:
        raise Stopped


def test_a_divided_run_ends_as_one_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after two rounds and resumed, fine-tuning too."""
    counts = []
    real = module.divided

    def watched(own: Any, parts: Any, make: Any) -> Any:
        counts.append(len(parts))
        return real(own, parts, make)

    monkeypatch.setattr(module, "divided", watched)
    alone = run(CONFIG, out=tmp_path / "one")
    monkeypatch.setattr(shares, "PRODUCTS", 1.0)
    with pytest.raises(Stopped):
        run(CONFIG, out=tmp_path / "two", observer=stop_after_two, cache=True)
    two = run(CONFIG, out=tmp_path / "two", observer=ignore, cache=True, resume=True)
    assert counts == [1, 2, 2]
    files = sorted(path.relative_to(alone.folder) for path in alone.folder.rglob("*.safetensors"))
    assert files
    for file in files:
        one, other = load_file(alone.folder / file), load_file(two.folder / file)
        for name, value in one.items():
            assert (value - other[name]).abs().max() < 1e-9, (file, name)
    for name in ("recommended", "recommended+ft"):
        lines = [
            [json.loads(line) for line in (place.folder / "contenders" / name / "metrics.jsonl").open()]
            for place in (alone, two)
        ]
        assert [{k: v for k, v in one.items() if k != "logloss"} for one in lines[0]] == [
            {k: v for k, v in one.items() if k != "logloss"} for one in lines[1]
        ]
