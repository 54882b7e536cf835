"""Who conflicts with whom, who listens to whom: the rounds of one contender put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.record.reading import ContenderRecord, mean_of_seeds
from msmtrec.record.rounds import SHARES, Conflict

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """All pairs of a round's scenarios, mean over rounds and seeds.

    Args:
        count: pairs of the round with the most of them.
        negative: share that points against each other.
        mean, low, high: of the cosines; low and high leave 5 % out on either side.
    """

    count: int
    negative: float
    mean: float
    low: float
    _: KW_ONLY
    high: float


@dataclass(frozen=True, eq=False)
class ByRound:
    """All pairs of scenarios, round by round, mean over seeds, each seed's last value carried on.

    Args:
        rounds: [R].
        negative: [R] share of pairs that point against each other.
        cosine: [R] mean cosine, NaN where a round had no pair.
    """

    rounds: Array
    negative: Array
    cosine: Array


def over_rounds(contender: ContenderRecord) -> ByRound | None:
    """None where no round had a conflict problem."""
    negative: dict[int, dict[int, float]] = {}
    cosine: dict[int, dict[int, float]] = {}
    for one in contender.rounds:
        for federation in one.federations:
            if (conflict := federation.conflict) is not None:
                negative.setdefault(federation.seed, {})[one.number] = conflict.negative
                if (mean := conflict.pairs["mean"]) is not None:
                    cosine.setdefault(federation.seed, {})[one.number] = mean
    if not negative:
        return None
    rounds, shares = mean_of_seeds(negative)
    values = np.full(len(rounds), np.nan)
    if cosine:
        known, means = mean_of_seeds(cosine)
        values[np.searchsorted(rounds, known)] = means
    return ByRound(rounds, shares, values)


def conflicts(contender: ContenderRecord, scenarios: Sequence[str]) -> Array | None:
    """[N, N] mean cosine between the scenarios' expert updates over rounds and seeds, NaN where two never met.

    None without such figures.
    """
    return _mean(((c, c.cosine) for c in _problems(contender)), scenarios)


def listening(contender: ContenderRecord, scenarios: Sequence[str]) -> Array | None:
    """[N, N] how much of scenario m's expert update is in what scenario n holds after the round, rounds' mean."""
    return _mean(((c, c.listening) for c in _problems(contender)), scenarios)


def all_pairs(contender: ContenderRecord) -> Pairs | None:
    """None where no round had a pair."""
    found = [c for c in _problems(contender) if c.pairs["mean"] is not None]
    if not found:
        return None
    mean, low, high = (float(np.mean([c.pairs[key] for c in found])) for key in ("mean", "q05", "q95"))
    return Pairs(
        max(int(c.pairs["count"] or 0) for c in found),
        float(np.mean([c.negative for c in found])),
        mean,
        low,
        high=high,
    )


def plain_means(contender: ContenderRecord) -> tuple[int, int]:
    """(conflict problems in which the plain mean was returned, all problems): one an expert, round and seed."""
    found = _problems(contender)
    return sum(c.degenerate for c in found), sum(c.problems for c in found)


def personalisation(contender: ContenderRecord, scenarios: Sequence[str]) -> tuple[str, Array, Array] | None:
    """(beta or alpha, rounds [R], values [N, R]): how much each scenario takes of the common part, mean over seeds."""
    for symbol in SHARES:
        found: dict[int, dict[int, Array]] = {}
        for one in contender.rounds:
            for federation in one.federations:
                if symbol in federation.shares:
                    found.setdefault(federation.seed, {})[one.number] = federation.shares[symbol]
        rounds = sorted({number for values in found.values() for number in values})
        if rounds:
            table = np.full((len(scenarios), len(rounds)), np.nan)
            for n, line in enumerate(table):
                seeds = {
                    seed: {number: float(values[n]) for number, values in shares.items() if not np.isnan(values[n])}
                    for seed, shares in found.items()
                }
                known, mean = mean_of_seeds({seed: values for seed, values in seeds.items() if values})
                line[np.searchsorted(rounds, known)] = mean
            return symbol, np.array(rounds, float), table
    return None


def _problems(contender: ContenderRecord) -> list[Conflict]:
    return [federation.conflict for federation in contender.federations if federation.conflict is not None]


def _mean(found: Iterable[tuple[Conflict, Array]], scenarios: Sequence[str]) -> Array | None:
    places = {name: n for n, name in enumerate(scenarios)}
    total, count = (np.zeros((len(places), len(places))) for _ in range(2))
    for conflict, matrix in found:
        known = [n for n, name in enumerate(conflict.names) if name in places]
        at = np.ix_(*[[places[conflict.names[n]] for n in known]] * 2)
        part = matrix[np.ix_(known, known)]
        total[at] += np.nan_to_num(part)
        count[at] += ~np.isnan(part)
    if not count.any():
        return None
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
