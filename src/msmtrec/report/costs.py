"""What a contender cost: optimiser steps, bytes, seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from msmtrec.record.reading import ContenderRecord


@dataclass(frozen=True)
class Costs:
    """Args:
    up, down: role -> kilobytes a round and scenario that takes part, mean over rounds.
    phases: phase -> seconds of the chosen candidate, all rounds, scenarios and seeds together.
    all_seconds: the same of all candidates together.
    steps: fewest and most optimiser steps behind a kept model, over scenarios and seeds, of all phases.
    a_round: fewest and most of one phase in a round.
    candidates, known: how many there are, and how many of them `all_seconds` counts.
    """

    contender: str
    up: Mapping[str, float]
    down: Mapping[str, float]
    phases: Mapping[str, float]
    _: KW_ONLY
    all_seconds: float
    candidates: int
    known: int
    steps: tuple[int, int]
    a_round: tuple[int, int]

    @property
    def seconds(self) -> float:
        return sum(self.phases.values())


def costs(contender: ContenderRecord) -> Costs:
    rounds, seconds = contender.rounds, contender.candidate_seconds
    uploads = sum(one.took_part for one in rounds) or 1
    up, down = (
        {role: total / uploads / 1000 for role, total in _sums(tables).items()}
        for tables in ([one.up for one in rounds], [one.down for one in rounds])
    )
    return Costs(
        contender.name,
        up,
        down,
        _sums([one.seconds for one in rounds]),
        all_seconds=sum(seconds.values()),
        candidates=len({*contender.candidates, *seconds}),
        known=len(seconds),
        steps=_range(contender, "steps"),
        a_round=_range(contender, "steps_per_round"),
    )


def _range(contender: ContenderRecord, key: str) -> tuple[int, int]:
    found = [int(entry[key]) for entry in contender.chosen]
    return min(found), max(found)


def _sums(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: sum(t.get(key, 0) for t in tables) for key in sorted({key for t in tables for key in t})}
