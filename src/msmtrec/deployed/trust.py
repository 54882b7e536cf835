"""What a server looks at before it uses what a node says: whose it is, and that numbers are numbers."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from msmtrec.base.errors import UserError
from msmtrec.data.logs import SPLITS
from msmtrec.deployed.messages import Facts
from msmtrec.deployed.told import Told, read_schema
from msmtrec.record.evidence import Evidence
from msmtrec.statistics.exchange import Said
from msmtrec.statistics.history import History


def declared(node: str, names: Collection[str], facts: Facts) -> Told:
    """What a node tells of its rows.

    Raises:
        UserError: it speaks of other scenarios than its own, or of none, or not in this version's words.
    """
    try:
        schema = read_schema(facts.schema)
    except (ValueError, RecursionError, UserError) as error:
        raise UserError(f"how node '{node}' declares its rows cannot be read; do all run the same version?") from error
    for what, found in (("declares", schema.scenarios), ("has rows of", facts.rows)):
        own_alone(node, names, found, what)
    for name, rows in facts.rows.items():
        if set(rows) != set(SPLITS) or min(rows.values()) < 0:
            raise UserError(f"node '{node}' does not say how many rows of each split '{name}' has")
    return Told.model_validate({"timed": facts.timed, "rows": facts.rows, "declared": schema})


def own_alone(node: str, names: Collection[str], found: Iterable[str], what: str) -> None:
    """Raises: UserError where these are not the scenarios that the node has."""
    there = set(found)
    if there != set(names):
        wanted, got = (", ".join(sorted(each)) or "none" for each in (set(names), there))
        raise UserError(f"node '{node}' {what} other scenarios than its own: {got}, not {wanted}")


def check_said(said: Mapping[str, Said]) -> None:
    """Before it is summed, for all to read.

    Raises:
        UserError: a number of a scenario's counts or moments is none, or they are no counts.
    """
    for name, own in said.items():
        if not all(_is_history(history) for history in own.histories.values()):
            raise UserError(f"scenario '{name}' sent counts of its ids that are none; nothing is summed")
        sums = (own.moments.rows, own.moments.sums, own.moments.squares) if own.moments else ()
        if not all(np.isfinite(one).all() for one in sums):
            raise UserError(f"scenario '{name}' sent sums of its inputs that are no numbers; nothing is summed")


def check_evidence(node: str, names: Collection[str], found: Evidence) -> None:
    """Before tests rest on it.

    Raises:
        UserError: it is of others' lines, or a sum is no number.
    """
    for lines in (found.support, found.lines):
        own_alone(node, names, (scenario for scenario, _ in lines), "weighs")
    spreads = [*found.pairs.values(), *(one for line in found.lines.values() for one in line.values())]
    if not all(np.isfinite((one.squares, one.fourths)).all() and one.users >= 0 for one in spreads):
        raise UserError(f"node '{node}' sent sums over its users that are no numbers")


def _is_history(found: History) -> bool:
    keys, sums = found.keys, found.sums
    if keys.ndim != 1 or sums.ndim != 2 or len(keys) != len(sums) or found.units < 0:
        return False
    ascending = bool((np.diff(keys) > 0).all()) and (not len(keys) or keys[0] >= 0)
    return ascending and bool(np.isfinite(sums).all()) and bool((sums[:, 0] >= 0).all())


def records(node: str, names: Collection[str], seeds: Collection[int], text: str) -> list[dict[str, Any]]:
    """What a node says of its scenarios, one mapping for each seed and scenario, or more.

    Raises:
        UserError: it is no such list, or of others.
    """
    try:
        found = json.loads(text)
        pairs = {(entry["seed"], entry["scenario"]) for entry in found}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"what node '{node}' says of its scenarios cannot be read") from error
    if pairs != {(seed, name) for seed in seeds for name in names}:
        raise UserError(f"node '{node}' does not speak of its own scenarios and the run's seeds, each of them")
    return list(found)
