"""rounds.jsonl, line by line, as much of it as a report needs: nothing of the square of the scenarios is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.aggregation.summaries import LISTED, largest, pair_statistics
from msmtrec.base.errors import UserError

Array = NDArray[np.float64]
SHARES = {"β": "beta/experts", "α": "alpha/experts"}


@dataclass(frozen=True)
class Conflict:
    """One federation's conflict problems of one round.

    Args:
        names: the S listed scenarios.
        of: scenarios that took part.
        cosine: [S, S] mean over experts, NaN where there is none.
        listening: [S, S] how much of the column's expert update is in what the row holds after the round.
        pairs: `count`, `negative`, `mean`, `q05` … over all pairs of the scenarios that took part.
        negative: share of pairs that point against each other, mean over experts.
        problems, degenerate: one problem an expert; those in which the plain mean was returned.
        gap: largest duality gap.
    """

    names: tuple[str, ...]
    of: int
    cosine: Array
    listening: Array
    _: KW_ONLY
    pairs: Mapping[str, float | None]
    negative: float
    problems: int
    degenerate: int
    gap: float


@dataclass(frozen=True)
class Federation:
    """One seed's part of a round.

    Args:
        shares: "β" or "α" -> [N], what each scenario takes of the experts' common part, NaN where it took no part.
        norms: [N] length of each scenario's update, NaN where it sent none; None where nobody measures.
        unchecked: scenarios whose mixture could not be measured.
    """

    seed: int
    conflict: Conflict | None
    shares: Mapping[str, Array]
    norms: Array | None
    _: KW_ONLY
    rejected: tuple[str, ...]
    stale: tuple[str, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True)
class Round:
    """One round of all seeds.

    Args:
        up, down: role -> bytes, all scenarios together.
        took_part: scenarios that took part, seeds added up.
    """

    number: int
    up: Mapping[str, int]
    down: Mapping[str, int]
    seconds: Mapping[str, float]
    _: KW_ONLY
    took_part: int
    federations: tuple[Federation, ...]


def read_rounds(path: Path, sizes: Mapping[str, int]) -> list[Round]:
    """All rounds; an absent file has none.

    Args:
        sizes: scenario -> training rows, in table order.

    Raises:
        UserError: damaged, or of another version.
    """
    places = {name: n for n, name in enumerate(sizes)}
    found = []
    for number, raw in enumerate(lines(path), 1):
        try:
            found.append(
                Round(
                    raw["round"],
                    raw["bytes_up"],
                    raw["bytes_down"],
                    raw["seconds"],
                    took_part=sum(len(names) for names in raw["took_part"].values()),
                    federations=tuple(
                        _federation(int(seed), one, places, sizes) for seed, one in raw["diagnostics"].items()
                    ),
                )
            )
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise UserError(
                f"{path}, line {number}, is from another version or damaged ({type(error).__name__}: {error}); train"
                " again with this version, or read it with the one that environment.json names"
            ) from error
    return found


def seconds_of(path: Path) -> float:
    """All phases of all rounds together.

    Raises:
        UserError: damaged.
    """
    return sum(sum(raw["seconds"].values()) for raw in lines(path))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """One line in memory at a time; an absent file has none.

    Raises:
        UserError: a line is no JSON mapping.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                raw = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}, line {number}, is damaged: {error}") from error
            if not isinstance(raw, dict):
                raise UserError(f"{path}, line {number}, is damaged: no JSON mapping")
            yield raw


def _federation(seed: int, raw: Mapping[str, Any], places: Mapping[str, int], sizes: Mapping[str, int]) -> Federation:
    unchecked = {name for key in ("unchecked/experts", "unchecked/towers") for name in raw.get(key, [])}
    return Federation(
        seed,
        _conflict(raw, sizes) if "cosine" in raw else None,
        {symbol: _by_scenario(raw[key], places) for symbol, key in SHARES.items() if raw.get(key)},
        _by_scenario(raw["update_norms"], places) if raw.get("update_norms") else None,
        rejected=tuple(raw.get("rejected", [])),
        stale=tuple(raw.get("stale", [])),
        unchecked=tuple(sorted(unchecked)),
    )


def _by_scenario(values: Mapping[str, Any], places: Mapping[str, int]) -> Array:
    """name -> number or numbers, their mean, as [N]; scenarios that are in no line of the table are left out."""
    table = np.full(len(places), np.nan)
    for name, value in values.items():
        if name in places and np.size(value):
            table[places[name]] = np.mean(value)
    return table


def _conflict(raw: Mapping[str, Any], sizes: Mapping[str, int]) -> Conflict:
    names, cosine = raw["scenarios"], np.array(raw["cosine"], float)
    if cosine.shape != (len(names),) * 2:
        raise ValueError(f"{len(names)} scenarios and cosines of shape {cosine.shape}")
    at = largest([sizes.get(name, 0) for name in names], LISTED)
    kept = [names[n] for n in at]
    return Conflict(
        tuple(kept),
        raw.get("of", len(names)),
        cosine[np.ix_(at, at)],
        _listening(raw, kept, np.array(raw["coefficients"], float)[at]),
        pairs=raw.get("pairs") or pair_statistics(cosine),
        negative=raw["negative_pairs"],
        problems=len(raw["conflict_weights"]),
        degenerate=int(raw.get("degenerate", 0)),
        gap=raw.get("duality_gap", 0.0),
    )


def _listening(raw: Mapping[str, Any], names: Sequence[str], common: Array) -> Array:
    """held-out: (1 - beta_n) [n = m] + beta_n u_m; hyper: [n = m] + alpha_n u_m; uniform: u_m.

    u are the coefficients of the coordinated update. Who did not answer an offer keeps what is its own: beta_n is 0.
    """
    own = np.eye(len(names))
    for symbol, key in SHARES.items():
        if raw.get(key):
            share = np.array([np.mean(raw[key].get(name, 0.0)) for name in names])[:, None]
            return (1 - share if symbol == "β" else 1.0) * own + share * common
    return np.tile(common, (len(names), 1))
