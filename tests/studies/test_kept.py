"""A training that goes on from rung to rung ends, to the bit, as one in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.config.contender import Contender
from msmtrec.config.parse import parse_config
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import Measure
from msmtrec.experiment import contender as module
from msmtrec.experiment import shares
from msmtrec.experiment.columns import column_folders
from msmtrec.experiment.contender import run_contender
from msmtrec.experiment.encoders import variant
from msmtrec.experiment.run import encoded
from msmtrec.federation import scenario as scenario_module
from msmtrec.federation.messages import Order
from msmtrec.record.directory import read_lines
from msmtrec.record.events import ContenderStarted, Event, Progress, ignore
from msmtrec.studies.halving import rounds_at
from msmtrec.studies.kept import take_over, trained

SEEDS, RUNGS = (1000, 1001), 3
BASE: dict[str, Any] = {
    "data": {"source": "synthetic", "scenarios": 3, "rows": [500, 300, 400], "users": 40, "items": 30},
    "train": {"rounds": 8, "local_steps": 2, "batch_size": 32, "learning_rate": 0.01, "participation": 0.7},
    "model": {"name": "mmoe", "experts": 2, "expert_layers": [8], "tower_layers": [4], "embedding_dim": 4},
}
KINDS: dict[str, dict[str, Any]] = {
    "scaffold": {},
    "tuned": {"method": "fedavg-all", "fine_tune": {"rounds": 2}, "train": {"balance": "gradnorm"}},
    "recommended": {"method": "pf-msmtrec", "preset": "recommended", "statistics": {"least": 5}},
    "paper": {"method": "pf-msmtrec", "preset": "paper", "train": {"balance": "uncertainty", "lazy_embeddings": True}},
    "offset": {"method": "emb-only", "statistics": {"least": 5, "wide": "offset"}},
    "pooled": {},
}


def made(own: Mapping[str, Any], **train: Any) -> tuple[Contender, EncodedData]:
    raw = {**BASE, "train": {**BASE["train"], **train}, "methods": {own.get("method", "x"): dict(own)}}
    config = parse_config(raw)
    found = replace(config.contenders[0][0], candidate="c01")
    return found, encoded(config, config.data.load(), None, None)[variant(found)]


def in_rungs(contender: Contender, data: EncodedData, folder: Path, tell: Any = ignore, threads: int = 1) -> Path:
    """As a benchmark has it; the folder of the last rung."""
    places = [folder / f"rung-{rung + 1}" / contender.name / "c01" for rung in range(RUNGS)]
    for rung, place in enumerate(places):
        if rung:
            take_over(places[rung - 1], place)
            assert not trained(places[rung - 1])
        rounds, last = rounds_at(contender.train.rounds, rung, RUNGS), rung == RUNGS - 1
        short = replace(contender, train=contender.train.model_copy(update={"rounds": rounds}), fine_tune=None)
        on_to = 0 if last else contender.rounds
        run_contender(contender if last else short, data, SEEDS, place, tell, threads, on_to)
    return places[-1]


def written(contender: Contender, folder: Path) -> dict[str, bytes]:
    """All files of all columns; of rounds.jsonl all but seconds."""
    found = {}
    for column, place in column_folders(contender, folder).items():
        for path in sorted(place.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                if path.name == "rounds.jsonl":
                    kept = [{k: v for k, v in line.items() if k != "seconds"} for line in read_lines(path)]
                    content = json.dumps(kept).encode()
                found[f"{column}/{path.relative_to(place)}"] = content
    return found


def check_same(contender: Contender, one: Path, two: Path) -> None:
    first, second = written(contender, one), written(contender, two)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert {Path(name).name for name in first} >= {"rounds.jsonl", "metrics.jsonl", "validation.json"}
    assert [name for name in first if name.endswith(".safetensors")]


@pytest.mark.parametrize("kind", KINDS)
def test_three_rungs_end_as_one_training(kind: str, tmp_path: Path) -> None:
    contender, data = made({"method": kind, **KINDS[kind]})
    whole = tmp_path / "whole" / contender.name / "c01"
    run_contender(contender, data, SEEDS, whole, ignore, 1)
    done: list[int] = []

    def tell(event: Event) -> None:
        if isinstance(event, ContenderStarted):
            done.append(event.done)

    check_same(contender, whole, in_rungs(contender, data, tmp_path / "rungs", tell))
    assert done == [0, 2, 4]
    lines = [read_lines(tmp_path / "rungs" / f"rung-{n}" / contender.name / "c01" / "rounds.jsonl") for n in (1, 2, 3)]
    assert [len(one) for one in lines] == [2, 4, 8]
