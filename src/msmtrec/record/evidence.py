"""What test rows say beyond figures: what each line rests on, and how much luck of users is in a difference.

Sums over users and nothing of a single one: whoever has rows can hand it to those who may not see them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from msmtrec.evaluation.compare import Spread
from msmtrec.evaluation.contributions import Array
from msmtrec.evaluation.support import Support
from msmtrec.record.scores import Line, Scores

Aucs = Mapping[str, NDArray[np.float64]]
"""Contender -> [lines, seeds], NaN where there is none."""
Totals = tuple[int, int]
"""(different users, rows)"""


@dataclass(frozen=True)
class Evidence:
    """Of some lines, or of all.

    Args:
        support: line -> what it rests on.
        lines: line -> contender -> the luck in its difference to the reference; absent where nothing is tested.
        pairs: (first, second) -> the luck in the difference of the sums over the lines that are tested.
        enough, complete: of the lines that are tested together, and of those with an AUC of everybody.
    """

    support: Mapping[Line, Support]
    lines: Mapping[Line, Mapping[str, Spread]]
    pairs: Mapping[tuple[str, str], Spread]
    _: KW_ONLY
    enough: Totals = (0, 0)
    complete: Totals = (0, 0)

    @classmethod
    def together(cls, parts: Sequence[Evidence]) -> Evidence:
        """Of several places, whose users are taken for different ones."""
        pairs: dict[tuple[str, str], Spread] = {}
        for part in parts:
            for pair, spread in part.pairs.items():
                pairs[pair] = pairs[pair] + spread if pair in pairs else spread
        return cls(
            {line: found for part in parts for line, found in part.support.items()},
            {line: found for part in parts for line, found in part.lines.items()},
            pairs,
            enough=(sum(part.enough[0] for part in parts), sum(part.enough[1] for part in parts)),
            complete=(sum(part.complete[0] for part in parts), sum(part.complete[1] for part in parts)),
        )


@dataclass(frozen=True)
class Lines:
    """Which lines count. Flags in their order.

    Args:
        few: what each has too little of for a test; "" where there is enough.
        enough: with enough, and an AUC of every contender and seed.
        complete: with these AUCs.
    """

    few: Sequence[str]
    enough: Sequence[bool]
    complete: Sequence[bool]

    @classmethod
    def of(cls, lines: Sequence[Line], support: Mapping[Line, Support], aucs: Aucs) -> Lines:
        few = [support[line].few for line in lines]
        complete = [not any(np.isnan(table[n]).any() for table in aucs.values()) for n in range(len(lines))]
        return cls(few, [full and not little for full, little in zip(complete, few, strict=True)], complete)


def evidence(scores: Scores, aucs: Aucs, reference: str) -> Evidence:
    """Of the lines of scores that are here; `aucs` has these lines."""
    lines = Lines.of(scores.lines, scores.support, aucs)
    sums: dict[str, Array] = {contender: np.zeros(scores.size) for contender in aucs}
    spreads: dict[Line, dict[str, Spread]] = {}
    for line, tested in zip(scores.lines, lines.enough, strict=True):
        found, spreads[line] = scores.line(line), {}
        for contender in aucs:
            if (users := found.difference(contender, reference)) is not None:
                spreads[line][contender] = Spread.of(users)
            if tested:
                found.add_to(sums[contender], contender)

    def total(which: Sequence[bool]) -> Totals:
        counted = [line for line, counts in zip(scores.lines, which, strict=True) if counts]
        return scores.total(counted) if counted else (0, 0)

    there = any(lines.enough)
    pairs = {(a, b): Spread.of(sums[a] - sums[b]) for a, b in combinations(aucs, 2)} if there else {}
    return Evidence(scores.support, spreads, pairs, enough=total(lines.enough), complete=total(lines.complete))
