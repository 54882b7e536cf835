"""A training that goes on from rung to rung ends, to the bit, as one in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.base.settings import cache_directory
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
from msmtrec.federation.messages import Order, Report
from msmtrec.record.directory import read_lines
from msmtrec.record.events import ContenderStarted, Event, Progress, ignore
from msmtrec.runtime.in_process import InProcess
from msmtrec.runtime.side_by_side import SideBySide
from msmtrec.studies.halving import in_rung
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
    return found, encoded(config, config.data.load(), None, cache_directory())[variant(found)]


def in_rungs(contender: Contender, data: EncodedData, folder: Path, tell: Any = ignore, threads: int = 1) -> Path:
    """As a benchmark has it; the folder of the last rung."""
    places = [folder / f"rung-{rung + 1}" / contender.name / "c01" for rung in range(RUNGS)]
    for rung, place in enumerate(places):
        if rung:
            take_over(places[rung - 1], place)
            assert not trained(places[rung - 1])
        now, on_to = in_rung(contender, rung, RUNGS)
        run_contender(now, data, SEEDS, place, tell, threads, on_to)
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


@pytest.mark.parametrize(
    ("best", "last"),
    [((1, 1), (3, 3)), ((2, 2), (4, 4)), ((1, 4), (3, 6)), ((6, 1), (8, 3)), ((1, 20), (3, 16))],
    ids=["over in the first rung", "at its end", "in the second", "at its end, other seed", "one never"],
)
def test_a_training_that_patience_has_ended_is_over(
    best: tuple[int, int], last: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 rounds in rungs of 4, 8 and 16, fine-tuned in the last; `best` and `last` round of either seed."""
    trainings: list[tuple[int, int]] = []

    class Rehearsed(InProcess):
        def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
            def validate(_site: Any, _: Any, members: list[Member]) -> Iterator[tuple[Member, list[Measure]]]:
                for member in members:
                    number = orders[member].measure or orders[member].round
                    auc = 0.8 - 0.01 * abs(number - best[member.seed - SEEDS[0]])
                    yield member, [Measure(member.scenario, "click", auc, 0.7, rows=10, positives=5)]

            trainings.extend((order.round, member.seed) for member, order in orders.items() if order.train)
            with monkeypatch.context() as patch:
                patch.setattr(scenario_module, "validate", validate)
                return super().__call__(orders)

    for place in ("contender", "here"):  # where a checkpoint is, and where none is
        monkeypatch.setattr(f"msmtrec.experiment.{place}.InProcess", Rehearsed)
    own = {"method": "fedavg", "fine_tune": {"rounds": 1, "patience": 1}}
    contender, data = made(own, rounds=16, patience=2, participation=1.0, evaluate_before=False)
    whole = tmp_path / "whole" / "fedavg" / "c01"
    run_contender(contender, data, SEEDS, whole, ignore, 1)
    once = sorted(trainings)
    lines = read_lines(whole / "rounds.jsonl")
    for seed, end in zip(SEEDS, last, strict=True):
        assert [line["round"] for line in lines if str(seed) in line["took_part"]] == list(range(1, end + 1))
    trainings.clear()
    check_same(contender, whole, in_rungs(contender, data, tmp_path / "rungs"))
    assert sorted(trainings) == once


class Beside:
    """A worker of `SideBySide` without a process of its own."""

    def __init__(self, own: InProcess, members: Sequence[Member]) -> None:
        self.members = frozenset(members)
        self.clients = InProcess(own.site, {member: own.memories.pop(member) for member in members})

    def say(self, asked: str, content: Mapping[Member, Order]) -> None:
        self.content = content

    def hear(self, asked: str) -> Any:
        return dict(self.clients(self.content) if asked == "orders" else self.clients.memories)


def test_a_rung_is_divided_over_processes_as_the_whole_training_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How small scenarios are stacked, and so the last bits, follows from it."""
    monkeypatch.setattr(shares, "pays", lambda rounds, *_: rounds == 8)
    counts = []

    @contextmanager
    def divided(own: InProcess, parts: Sequence[Sequence[Member]], _: Any) -> Iterator[Any]:
        counts.append(len(parts))
        yield SideBySide(own, [Beside(own, part) for part in parts[1:]])  # type: ignore[misc]

    monkeypatch.setattr(module, "divided", divided)
    contender, data = made({"method": "scaffold"})
    run_contender(contender, data, SEEDS, tmp_path / "whole" / "scaffold" / "c01", ignore, 2)
    check_same(
        contender,
        tmp_path / "whole" / "scaffold" / "c01",
        in_rungs(contender, data, tmp_path / "rungs", threads=2),
    )
    assert counts == [2, 2, 2, 2]


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_stopped_at_any_round_of_a_rung_it_goes_on_to_the_same(rounds: int, tmp_path: Path) -> None:
    """Without a checkpoint of its own a rung goes on from that of the one before."""

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == rounds:
            raise KeyboardInterrupt

    contender, data = made({"method": "scaffold"}, rounds=4, checkpoint_every="1000 s")
    run_contender(contender, data, SEEDS, tmp_path / "whole" / "scaffold" / "c01", ignore, 1)
    with pytest.raises(KeyboardInterrupt):
        in_rungs(contender, data, tmp_path / "rungs", stop)
    check_same(contender, tmp_path / "whole" / "scaffold" / "c01", in_rungs(contender, data, tmp_path / "rungs"))


def kept(folder: Path, round_number: int = 2) -> Path:
    """A rung's folder with what it kept."""
    place = folder / "checkpoint" / f"round-{round_number:05d}"
    place.mkdir(parents=True)
    (place / "index.json").write_text("{}")
    for name in ("metrics", "rounds"):
        (folder / f"{name}.jsonl").write_text(f'{{"of": "{folder.name}"}}\n')
    return folder


def test_a_kill_while_it_is_taken_over_leaves_the_same_to_do_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, here = kept(tmp_path / "a"), tmp_path / "b"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(UserError, match=r"cannot write to .*b: .*No space left on device; free space, then cont"):
            take_over(before, here)
    assert (trained(before), trained(here)) == (2, 0)
    (here / "checkpoint" / "round-00003.tmp").mkdir(parents=True)  # killed while it was written
    take_over(before, here)
    assert (trained(before), trained(here)) == (0, 2)
    assert (here / "metrics.jsonl").read_text() == (before / "metrics.jsonl").read_text()


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_has_begun_and_what_has_nothing_to_go_on_from_is_left_as_it_is(tmp_path: Path) -> None:
    take_over(tmp_path / "none", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    here = kept(tmp_path / "b", 3)
    take_over(kept(tmp_path / "a"), here)
    assert (trained(here), (here / "metrics.jsonl").read_text()) == (3, '{"of": "b"}\n')
