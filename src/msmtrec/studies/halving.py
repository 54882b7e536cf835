"""Successive halving (Karnin, Koren & Somekh 2013): the better half trains on, to twice as many rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from msmtrec.config.contender import Contender


def rungs_of(candidates: int, contender: Contender, rungs: int) -> int:
    """How many rungs a contender climbs: none where there is nothing to choose, one where nothing trains in rounds."""
    if candidates == 1:
        return 0
    return 1 if contender.entry.alone else rungs


def rounds_at(rounds: int, rung: int, rungs: int) -> int:
    """Rounds to which a rung trains, the first of which is 0, at least 1: all of them in the last one."""
    return max(1, rounds >> (rungs - 1 - rung))


def in_rung(contender: Contender, rung: int, rungs: int) -> tuple[Contender, int]:
    """The contender as a rung trains it, and to how many rounds it goes on then, as `run_contender` takes both.

    It is fine-tuned in the last rung alone, from which it does not go on.
    """
    if rung == rungs - 1:
        return contender, 0
    rounds = rounds_at(contender.train.rounds, rung, rungs)
    short = contender.train.model_copy(update={"rounds": rounds})
    return replace(contender, train=short, fine_tune=None), contender.rounds


def left_after(candidates: int, rung: int, rungs: int) -> int:
    """How many go on from a rung: the better half, rounded up, and one from the last."""
    return 1 if rung == rungs - 1 else (candidates + 1) // 2


def better(scores: Mapping[str, float | None], number: int) -> list[str]:
    """The best so many, in the order they came in; of equals the first, and none that came to nothing (None)."""
    usable = [name for name, score in scores.items() if score is not None]
    best = sorted(usable, key=lambda name: -(scores[name] or 0.0))[:number]  # stable
    return [name for name in usable if name in best]
