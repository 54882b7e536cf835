"""Scenarios that join a federation which has begun: what it was begun with, and whether they may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.data.table import Layout
from msmtrec.experiment.choice import Training
from msmtrec.experiment.known import network
from msmtrec.federation import checkpoint as snapshots
from msmtrec.record import directory
from msmtrec.record.directory import CHECKPOINT, read_json, write_json

JOINED = "joined.json"
"""In the server's run directory: the scenarios that have joined, in order."""


def begun_with(folder: Path, scenarios: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the first round; all, where none has joined. Errors as `newcomers`."""
    place = folder / JOINED
    joined = {*(read_json(place) if place.exists() else ()), *newcomers(folder, scenarios)}
    return tuple(name for name in scenarios if name not in joined)


def newcomers(folder: Path, scenarios: tuple[str, ...]) -> tuple[str, ...]:
    """Scenarios of which a run directory knows nothing yet; () where nothing was begun.

    Raises:
        UserError: one that was there is no longer, or they stand in another order.
    """
    if not (folder / directory.DATA).exists():
        return ()
    known = tuple(next(iter(read_json(folder / directory.DATA).values()))["scenarios"])
    lacking = [name for name in known if name not in scenarios]
    if lacking:
        raise UserError(
            f"{folder} was begun with scenario '{lacking[0]}', and no node has it now; put it back into the"
            " federation's file (a node may be away, and the rounds go on without it), or begin in another folder"
        )
    if scenarios[: len(known)] != known:
        raise UserError(f"{folder} was begun with {', '.join(known)}, in this order; put who joins behind them")
    return scenarios[len(known) :]


def check_may_join(new: tuple[str, ...], trainings: Iterable[Training], folder: Path) -> None:
    """Only into rounds that go on, and where nothing was counted without them.

    Raises:
        UserError: a contender is too far.
    """
    for training in trainings:
        if why := _too_late(training):
            raise UserError(
                f"scenario '{new[0]}' cannot join {folder}: {why}; leave it out of the federation's file, or begin in"
                " another folder"
            )


def _too_late(training: Training) -> str | None:
    contender, place = training.contender, _begun(training)
    standing: Any = snapshots.plain_of(place)["standing"] if place is not None else {"round": 0, "ended": []}
    ended = standing["ended"] or any(directory.ended(column) for column in training.folders.values())
    if ended or standing["round"] >= contender.train.rounds:
        return f"rounds of {contender.name} are over"
    if place is not None and contender.statistics is not None:
        return f"what rows read of ids in {contender.name} was counted without it"
    return None


def _begun(training: Training) -> Path | None:
    """Its checkpoint."""
    return snapshots.newest(training.folder / CHECKPOINT)


def check_networks(new: tuple[str, ...], trainings: Iterable[Training], layout: Layout) -> None:
    """Errors: UserError where a network has weights for each scenario that it was begun with, or a method has."""
    for training in trainings:
        contender = training.contender
        declared = network(contender, layout).declare()
        if _begun(training) and not contender.settings.build(declared).open:
            raise UserError(f"scenario '{new[0]}' cannot join: mixtures of {contender.name} count on who began it")
        if any(d.owners for d in declared):
            raise UserError(
                f"scenario '{new[0]}' cannot join: {contender.model.name} of {contender.name} has weights for each"
                " scenario that it was begun with, and none for a new one"
            )


def rows_of(described: Mapping[str, Any], new: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """variant -> scenario -> what data.json says of its rows, but for newcomers."""
    return {
        kind: {name: held for name, held in found["scenarios"].items() if name not in new}
        for kind, found in described.items()
    }


def note_joined(folder: Path, new: tuple[str, ...]) -> None:
    """From now on they are a part of it."""
    before = read_json(folder / JOINED) if (folder / JOINED).exists() else []
    write_json(folder / JOINED, [*before, *new])
