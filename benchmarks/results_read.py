"""docs/results/NAME.csv and NAME.json: the figures of a benchmark, one line a seed, and what follows from them.

`msmtrec bench --results NAME.csv` writes the one, `msmtrec show RUN --summary` the other.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.evaluation.compare import Comparison
from msmtrec.record.figures import COLUMNS
from msmtrec.record.standing import Gain
from msmtrec.studies.digest import FORMAT

REQUIRED = ("bias", "local", "pooled", "fedavg")
"""Without these no reader can judge what the others are worth."""
CLOSE = 2e-6
"""Both files round to six decimals."""
Line = tuple[str, str]


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Args:
        key: name of its files.
        seeds: contender -> [S] mean test AUC over the lines that the mean counts.
        facts: the JSON.
    """

    key: str
    seeds: dict[str, NDArray[np.float64]]
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.facts["data"]["name"])

    @property
    def contenders(self) -> dict[str, Any]:
        """Those of the JSON."""
        found: dict[str, Any] = self.facts["contenders"]
        return found

    @property
    def lines(self) -> list[Line]:
        return [(line["scenario"], line["task"]) for line in self.facts["lines"]]

    @property
    def reference(self) -> str:
        return str(self.facts["reference"])

    @property
    def baselines(self) -> dict[str, str]:
        """Contender that the others were tested against -> what it is; the reference is nothing besides."""
        found: dict[str, list[str]] = {}
        for what, name in self.facts["baselines"].items():
            found.setdefault(name, []).append("" if what == "reference" else what)
        return {name: ", ".join(what for what in whats if what) for name, whats in found.items()}

    def mean(self, contender: str) -> float:
        return float(self.seeds[contender].mean()) if contender in self.seeds else math.nan

    def sd(self, contender: str) -> float:
        known = contender in self.seeds and len(self.seeds[contender]) > 1
        return float(self.seeds[contender].std(ddof=1)) if known else math.nan

    def test(self, contender: str, other: str) -> tuple[Comparison, float, float] | None:
        """(comparison, Holm-corrected p, effect size) of a declared test."""
        raw = self.contenders.get(contender, {}).get("tests", {}).get(other)
        return (comparison(raw), number(raw["holm"]), number(raw["effect"])) if raw else None

    def gains(self, contender: str, reference: str) -> list[Gain]:
        """Line by line; empty of the reference itself, and where nothing was compared with it."""
        found = self.contenders.get(contender, {}).get("lines", {}).get(reference, [])
        pairs = zip(self.lines, found, strict=True) if found else ()
        return [Gain(line, comparison(raw), number(raw["holm"])) for line, raw in pairs]


def comparison(raw: dict[str, Any]) -> Comparison:
    """What a page shows of one; the parts of its error are not in the file."""
    nan = math.nan
    return Comparison(
        number(raw["difference"]),
        0,
        nan,
        nan,
        df=nan,
        p_value=number(raw["p"]),
        low=number(raw["low"]),
        high=number(raw["high"]),
        untested=raw.get("untested", ""),
    )


def number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def read_all(folder: Path) -> list[DataSet]:
    """Every data set of the folder, in the order of its files' names.

    Raises:
        UserError: a file is damaged, its other half is missing or of other figures, or a contender of REQUIRED is not
            there.
    """
    alone = {path.stem for path in folder.glob("*.json")} - {path.stem for path in folder.glob("*.csv")}
    if alone:
        raise UserError(f"{min(alone)}.json has no {min(alone)}.csv beside it; write that too, or remove the one")
    found = []
    for path in sorted(folder.glob("*.csv"), key=lambda path: path.stem):
        try:
            found.append(read(path))
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise damaged(path.stem) from error
    return found


def damaged(key: str) -> UserError:
    """The JSON lacks what a page shows, or has it in another form."""
    return UserError(f"{key}.json is damaged; write it again: msmtrec show RUN --summary > docs/results/{key}.json")


def read(path: Path) -> DataSet:
    """One data set, by its CSV."""
    figures = _figures(path)
    required(path.name, {contender for contender, *_ in figures})
    facts = _facts(path.with_suffix(".json"))
    required(f"{path.stem}.json", facts["contenders"].keys())
    counted = [(line["scenario"], line["task"]) for line in facts["lines"] if line["counted"]]
    if not counted:
        raise UserError(f"{path.name} has no line with an AUC of every contender and seed: there is no mean to show")
    numbers = sorted({int(seed) for _, _, _, seed in figures})
    seeds = {}
    for contender in dict.fromkeys(contender for contender, *_ in figures):
        table = np.array([[figures.get((contender, *line, str(s)), math.nan) for s in numbers] for line in counted])
        if table.size and not np.isnan(table).any():
            seeds[contender] = table.mean(0)
    for contender, one in facts["contenders"].items():
        told, found = number(one["mean"]["auc"][0]), seeds.get(contender, np.array([math.nan])).mean()
        if not abs(told - found) < CLOSE:
            raise UserError(
                f"{path.stem}.json and {path.name} are of different figures ({contender}: mean test AUC {told:.6f} and"
                f" {found:.6f}); write the one again: msmtrec show RUN --summary > {path.with_suffix('.json')}"
            )
    found_set = DataSet(path.stem, seeds, facts)
    if facts["seeds"] != len(numbers):
        raise UserError(f"{path.name} has {len(numbers)} seeds, and {path.stem}.json says {facts['seeds']}")
    for contender, other in itertools.product(facts["contenders"], found_set.baselines):
        test = found_set.test(contender, other)
        apart = found_set.mean(contender) - found_set.mean(other)
        if contender != other and (test is None or not abs(test[0].difference - apart) < CLOSE):
            raise UserError(f"{path.stem}.json and {path.name} are of different figures ({contender} − {other})")
    return found_set


def required(file: str, names: Collection[str]) -> None:
    """Raises: UserError: one of REQUIRED is not among the names."""
    lacking = [name for name in REQUIRED if name not in names]
    if lacking:
        raise UserError(
            f"{file} has no figures of {', '.join(lacking)}: without {', '.join(REQUIRED[:-1])} and {REQUIRED[-1]}"
            " there is no table of it"
        )


def _figures(path: Path) -> dict[tuple[str, str, str, str], float]:
    """(contender, scenario, task, seed) -> test AUC"""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *lines = list(csv.reader(file)) or [[]]
        if tuple(head) != COLUMNS:
            raise ValueError(f"its columns are not {','.join(COLUMNS)}")
        found = {
            (contender, scenario, task, seed): float(auc or "nan")
            for _, contender, scenario, task, seed, _, auc in lines
        }
        names = {line[0] for line in lines}
        if len(found) < len(lines):
            raise ValueError("a contender's scenario, task and seed stand there twice")
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"cannot read {path.name}: {error}") from error
    if len(names) != 1:
        raise UserError(
            f"{path.name} is of {len(names)} data sets, not one: {', '.join(sorted(names)) or 'it is empty'}"
        )
    return found


def _facts(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path.name} is missing or damaged; write it from the benchmark's folder:"
            f" msmtrec show RUN --summary > {path}"
        ) from error
    if found.get("format") != FORMAT:
        raise UserError(f"{path.name} is of another version; write it again: msmtrec show RUN --summary > {path}")
    return found
