"""A round as it is told: what was sent and what was measured, which a journal hears of at two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from msmtrec.record.columns import FINE_TUNED
from msmtrec.record.events import Note, Observer, Round, Score
from msmtrec.record.rounds import lines

LONG = 10.0
"""Medians that an update's length may have before a note tells of it, once."""


class RoundsTold:
    """Tells of a column's rounds, each once both halves are there."""

    def __init__(self, tell: Observer, column: str, candidate: str) -> None:
        self._tell, self._column, self._candidate = tell, column, candidate
        self._tuned = column.endswith(FINE_TUNED)
        self._sent: dict[int, tuple[int, int, float]] = {}  # bytes up, bytes down, seconds
        self._measured: dict[int, tuple[Score, ...]] = {}
        self._long: set[str] = set()

    def metrics(self, number: int, stage: str, records: Iterable[Mapping[str, Any]], again: bool = False) -> None:
        """What was measured after the round; other stages are passed over."""
        if stage == ("fine-tune" if self._tuned else "after"):
            self._measured[number] = tuple(
                Score(**{key: record[key] for key in ("seed", "scenario", "task", "auc", "log_loss")})
                for record in records
            )
            self._tell_whole(number, again)

    def round(self, record: Mapping[str, Any], again: bool = False) -> None:
        """What was sent in the round; a note on uploads that were not used, or are far longer than others."""
        for sentence in () if again else self._odd(record):
            self._tell(Note(text=f"{self._column}, round {record['round']}: {sentence}"))
        up, down = sum(record["bytes_up"].values()), sum(record["bytes_down"].values())
        self._sent[record["round"]] = up, down, sum(record["seconds"].values())
        self._tell_whole(record["round"], again)

    def _odd(self, record: Mapping[str, Any]) -> Iterator[str]:
        for seed, found in record["diagnostics"].items():
            for reason in found.get("rejected", ()):
                yield f"{reason}, with seed {seed}; the round goes on without it"
            norms = found.get("update_norms", {})
            middle = median(norms.values()) if norms else 0.0
            for name, norm in norms.items():
                if norm > LONG * middle > 0 and name not in self._long:
                    self._long.add(name)
                    yield (
                        f"scenario '{name}' sent an update {norm / middle:.0f} times as long as the scenarios' median;"
                        " options.clip shortens such"
                    )

    def again(self, folder: Path) -> None:
        """The rounds that are written in a column's folder, as `replayed`.

        One that is sent and not measured yet, as a checkpoint leaves it, waits for its other half.

        Raises:
            UserError: a line is damaged.
        """
        for record in lines(folder / "rounds.jsonl"):
            self.round(record, again=True)
        for (number, stage), records in groupby(
            lines(folder / "metrics.jsonl"), key=lambda record: (record["round"], record["stage"])
        ):
            self.metrics(number, stage, records, again=True)

    def _tell_whole(self, number: int, again: bool) -> None:
        if number in self._sent and number in self._measured:
            up, down, seconds = self._sent.pop(number)
            self._tell(
                Round(
                    contender=self._column,
                    candidate=self._candidate,
                    stage="fine-tune" if self._tuned else "rounds",
                    round=number,
                    validation=self._measured.pop(number),
                    bytes_up=up,
                    bytes_down=down,
                    seconds=seconds,
                    replayed=again,
                )
            )
