"""What a contender writes down while it trains: lines of metrics and rounds, checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from msmtrec.base.member import Member
from msmtrec.config.train import TrainSettings
from msmtrec.evaluation.metrics import Measure
from msmtrec.experiment.rounds import RoundsTold
from msmtrec.experiment.scenarios import Scenarios
from msmtrec.federation.standing import Standing
from msmtrec.record.directory import CHECKPOINT, Lines, metric_records


class ContenderJournal:
    """Implements `rounds.Journal` in a contender's folder.

    Args:
        lengths: of the files, in bytes, and the round, at which an earlier start left off.
        told: hears of every round too.
    """

    def __init__(
        self, folder: Path, scenarios: Scenarios, train: TrainSettings, lengths: Mapping[str, int], *, told: RoundsTold
    ) -> None:
        self.folder, self.scenarios, self.train, self.told = folder, scenarios, train, told
        self.written = lengths.get("round", 0), perf_counter()
        self.lines = {name: Lines(folder / f"{name}.jsonl", lengths.get(name, 0)) for name in ("metrics", "rounds")}

    def metrics(self, round_number: int, stage: str, split: str, found: Mapping[Member, Iterable[Measure]]) -> None:
        records = list(metric_records(round_number, stage, split, found))
        for record in records:
            self.lines["metrics"].append(record)
        self.told.metrics(round_number, stage, records)

    def round(self, record: Mapping[str, Any]) -> None:
        self.lines["rounds"].append(record)
        self.told.round(record)

    def checkpoint(self, standing: Standing[Any]) -> None:
        rounds, seconds = standing.round - self.written[0], perf_counter() - self.written[1]
        if self.train.checkpoint_due(rounds, seconds):
            self.keep(standing)

    def keep(self, standing: Standing[Any]) -> None:
        """A checkpoint, due or not."""
        lengths = {name: lines.commit() for name, lines in self.lines.items()} | {"round": standing.round}
        self.scenarios.checkpoint(self.folder / CHECKPOINT, standing, lengths)
        self.written = standing.round, perf_counter()

    def finish(self) -> None:
        for lines in self.lines.values():
            lines.commit()
            lines.close()
