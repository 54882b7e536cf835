"""From the contenders' test files to one table: mean AUC ± sd over seeds, tests against Local."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.evaluation.compare import Interval, Paired, bootstrap_auc, draw_users, holm, interval, paired_over_seeds

MEAN = ("mean", "")
"""The table's last line: the mean over scenario × task."""
RESAMPLES = 400
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One contender × scenario × task.

    Args:
        auc: test AUC per seed, None where one class only.
        seeds: paired difference to the reference over seeds; None for the reference itself.
        users: bootstrap over users of the same difference.
    """

    auc: tuple[float | None, ...]
    seeds: Paired | None = None
    users: Interval | None = None

    @property
    def mean(self) -> float:
        known = [value for value in self.auc if value is not None]
        return float(np.mean(known)) if known else float("nan")

    @property
    def mean_difference(self) -> float:
        """To the reference, over seeds; NaN for the reference itself."""
        return self.seeds.mean if self.seeds else float("nan")

    @property
    def sd(self) -> float:
        known = [value for value in self.auc if value is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")


@dataclass(frozen=True)
class Pair:
    """Two contenders on the mean over scenario × task.

    Args:
        seeds, users: difference first - second over seeds, and its bootstrap over users.
        p_value: the larger p of the two tests, Holm-corrected over all pairs of the table: small only if the difference
            exceeds both the luck of the seeds and the luck of the split.
    """

    first: str
    second: str
    seeds: Paired
    users: Interval
    p_value: float


@dataclass(frozen=True)
class Results:
    """The whole table.

    Args:
        lines: (scenario, task) in table order, MEAN last.
        cells: contender name -> one cell a line.
        reference: the contender that differences refer to.
        chosen: contender -> the candidate that validation chose.
        pairs: every two contenders on the mean line.
        notes: what a reader must know of the settings.
    """

    name: str
    lines: tuple[tuple[str, str], ...]
    cells: Mapping[str, tuple[Cell, ...]]
    reference: str | None
    chosen: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()

    def pair(self, first: str, second: str) -> Pair | None:
        """Difference first - second on the mean line, in the order asked for."""
        for p in self.pairs:
            if (p.first, p.second) == (first, second):
                return p
            if (p.second, p.first) == (first, second):
                seeds = replace(p.seeds, mean=-p.seeds.mean)
                return Pair(first, second, seeds, Interval(-p.users.high, -p.users.low, p.users.p_value), p.p_value)
        return None

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "lines": [list(line) for line in self.lines],
            "reference": self.reference,
            "chosen": dict(self.chosen),
            "notes": list(self.notes),
            "pairs": [asdict(pair) for pair in self.pairs],
            "cells": {contender: [asdict(cell) for cell in cells] for contender, cells in self.cells.items()},
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Results:
        """What `as_dict` gave.

        Raises:
            UserError: it is not that.
        """
        try:
            found = cls(
                raw["name"],
                tuple((scenario, task) for scenario, task in raw["lines"]),
                {contender: tuple(_cell(cell) for cell in cells) for contender, cells in raw["cells"].items()},
                raw["reference"],
                dict(raw["chosen"]),
                tuple(_pair(pair) for pair in raw["pairs"]),
                tuple(raw["notes"]),
            )
            if not found.cells or any(len(cells) != len(found.lines) for cells in found.cells.values()):
                raise ValueError("cells and lines do not fit")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"results.json is from another version or damaged ({type(error).__name__}: {error}); train again with"
                " this version, or read it with the one that environment.json names"
            ) from error
        return found


def _cell(raw: Mapping[str, Any]) -> Cell:
    auc = tuple(None if value is None else float(value) for value in raw["auc"])
    return Cell(
        auc,
        Paired(**_numbers(raw["seeds"])) if raw["seeds"] else None,
        Interval(**_numbers(raw["users"])) if raw["users"] else None,
    )


def _pair(raw: Mapping[str, Any]) -> Pair:
    seeds, users = Paired(**_numbers(raw["seeds"])), Interval(**_numbers(raw["users"]))
    return Pair(**{**raw, "seeds": seeds, "users": users})


def _numbers(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in raw.items():
        if not isinstance(value, int | float):
            raise TypeError(f"{name} is {value!r}")
    return raw


def summarise(
    name: str,
    folders: Mapping[str, Path],
    tasks: tuple[str, ...],
    chosen: Mapping[str, str],
    notes: tuple[str, ...] = (),
) -> Results:
    """Read every contender's test.json and scores.npz; compare with `local` (else the first) and pairwise."""
    records = {contender: json.loads((folder / "test.json").read_text()) for contender, folder in folders.items()}
    reference = "local" if "local" in records else next(iter(records))
    first = records[reference]
    lines = tuple(dict.fromkeys((r["scenario"], r["task"]) for r in first))
    seeds = tuple(dict.fromkeys(r["seed"] for r in first))
    aucs = {contender: _table(found, lines, seeds) for contender, found in records.items()}
    boots = _bootstrap(folders, lines, seeds, tasks) if len(records) > 1 else {}
    cells = {}
    for contender, table in aucs.items():
        found = []
        for n in range(len(lines) + 1):
            values = table[n] if n < len(lines) else np.nanmean(table, 0)
            auc = tuple(None if np.isnan(v) else float(v) for v in values)
            if contender == reference:
                found.append(Cell(auc))
                continue
            base = aucs[reference][n] if n < len(lines) else np.nanmean(aucs[reference], 0)
            seeded = paired_over_seeds(values, base)
            found.append(Cell(auc, seeded, interval(boots[contender][n] - boots[reference][n], seeded.mean)))
        cells[contender] = tuple(found)
    return Results(name, (*lines, MEAN), cells, reference, chosen, _pairs(aucs, boots), notes)


def _pairs(aucs: Mapping[str, NDArray[np.float64]], boots: Mapping[str, NDArray[np.float64]]) -> tuple[Pair, ...]:
    found = []
    for first, second in combinations(aucs, 2):
        seeds = paired_over_seeds(np.nanmean(aucs[first], 0), np.nanmean(aucs[second], 0))
        users = interval(boots[first][-1] - boots[second][-1], seeds.mean)
        found.append(Pair(first, second, seeds, users, float(np.maximum(seeds.p_value, users.p_value))))
    corrected = holm([pair.p_value for pair in found])
    return tuple(replace(pair, p_value=p) for pair, p in zip(found, corrected, strict=True))


def _table(
    records: list[dict[str, Any]], lines: tuple[tuple[str, str], ...], seeds: tuple[int, ...]
) -> NDArray[np.float64]:
    """[lines, seeds] AUC; a cell without both classes is missing for every contender alike"""
    by_key = {(r["scenario"], r["task"], r["seed"]): r["auc"] for r in records}
    return np.array([[np.nan if (v := by_key.get((*line, seed))) is None else v for seed in seeds] for line in lines])


def _bootstrap(
    folders: Mapping[str, Path],
    lines: tuple[tuple[str, str], ...],
    seeds: tuple[int, ...],
    tasks: tuple[str, ...],
) -> dict[str, NDArray[np.float64]]:
    """contender -> [lines + 1, B] seed-mean AUC under the same resampled users; the last line is the mean."""
    found = {}
    scenarios = dict.fromkeys(scenario for scenario, _ in lines)
    for contender, folder in folders.items():
        with np.load(folder / "scores.npz") as scores:
            groups = np.concatenate([scores[f"{s}/group"] for s in scenarios])
            draws, users = draw_users(groups, RESAMPLES, seed=0)
            table = []
            for scenario, task in lines:
                t = tasks.index(task)
                labels = scores[f"{scenario}/labels"][:, t]
                known = ~np.isnan(labels)
                owner = np.searchsorted(users, scores[f"{scenario}/group"][known])
                logits = [scores[f"{scenario}/{seed}"][known, t] for seed in seeds]
                table.append(bootstrap_auc(logits, labels[known], draws, owner))
        found[contender] = np.vstack([*table, np.nanmean(table, 0)])
    return found
