"""From the contenders' test files to the result table."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.evaluation.compare import Comparison, Spread, compare, holm
from msmtrec.evaluation.contributions import Array
from msmtrec.evaluation.quality import QUALITIES
from msmtrec.record.columns import POOLED, REFERENCE
from msmtrec.record.declared import Ablation
from msmtrec.record.directory import ENCODERS, TEST, VALIDATION, read_json
from msmtrec.record.evidence import Evidence, Lines, evidence
from msmtrec.record.results import MEAN, Cell, Pair, Results
from msmtrec.record.scores import Scores


@dataclass(frozen=True)
class Finished:
    """A contender whose test files are written.

    Args:
        folder: of the candidate that validation chose.
        candidate: its name; empty where nothing is tuned.
        kind: REFERENCE, POOLED or neither.
    """

    folder: Path
    candidate: str = ""
    kind: str = ""

    @property
    def validation_auc(self) -> float:
        """Mean over scenarios and seeds, each at its best round."""
        found = json.loads((self.folder / VALIDATION).read_text())
        return float(np.mean([entry["auc"] for entry in found if entry["auc"] is not None]))  # a newcomer may have none


@dataclass(frozen=True)
class Tables:
    """Contenders' test.json side by side.

    Args:
        records: contender -> what it says.
        aucs: contender -> [lines, seeds], NaN where there is none.
    """

    records: Mapping[str, list[dict[str, Any]]]
    lines: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    aucs: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, contenders: Mapping[str, Finished]) -> Tables:
        records = {n: json.loads((contender.folder / TEST).read_text()) for n, contender in contenders.items()}
        lines = tuple(dict.fromkeys((r["scenario"], r["task"]) for found in records.values() for r in found))
        seeds = tuple(dict.fromkeys(r["seed"] for found in records.values() for r in found))
        return cls(records, lines, seeds, {n: _table(found, lines, seeds) for n, found in records.items()})

    def evidence(self, contenders: Mapping[str, Finished], tasks: tuple[str, ...], reference: str) -> Evidence:
        """From their scores.npz; arguments and errors as `summarise`."""
        folders = {n: contender.folder for n, contender in contenders.items()}
        with Scores(folders, self.lines, self.seeds, tasks) as scores:
            return evidence(scores, self.aucs, reference)


def reference_of(contenders: Mapping[str, Finished], wanted: str = "local") -> str:
    """The contender that differences refer to: the one that is wanted, or the first."""
    return wanted if wanted in contenders else next(iter(contenders))


def summarise(
    name: str,
    contenders: Mapping[str, Finished],
    tasks: tuple[str, ...],
    notes: tuple[str, ...] = (),
    unit: str = "users",
    reference: str = "local",
    *,
    ablation: Ablation | None = None,
    found: Evidence | None = None,
) -> Results:
    """Read every contender's test.json, scores.npz and validation.json, and compare.

    The mean counts the lines that have enough for a test (`Support.few`) and an AUC of every contender and seed; where
    there is none, those with an AUC of every contender and seed, and then nothing is tested.

    Args:
        tasks: in the order of the labels' columns.
        reference: the contender that differences refer to; the first one where it is not there.
        ablation: its contender is the reference, and its variants' tests are the declared ones; else every contender is
            tested against the reference and the best that validation names.
        found: in place of scores.npz, where the scores are elsewhere.

    Raises:
        UserError: the contenders were not scored on the same test rows.
    """
    tables = Tables.of(contenders)
    reference = reference_of(contenders, ablation.of if ablation else reference)
    found = found or tables.evidence(contenders, tasks, reference)
    lines, aucs = tables.lines, tables.aucs
    which = Lines.of(lines, found.support, aucs)
    counted = list(which.enough if any(which.enough) else which.complete)
    users, rows = found.enough if any(which.enough) else found.complete
    whole = {contender: np.vstack([table, _mean(table, counted)]) for contender, table in aucs.items()}
    means = _Means({n: table[-1] for n, table in whole.items()}, found.pairs, sum(which.enough))
    cells = {}
    for contender, table in whole.items():
        differences = [
            compare(table[n], aucs[reference][n], found.lines[line].get(contender), which.few[n])
            for n, line in enumerate(lines)
        ]
        differences.append(means.compare(contender, reference))
        cells[contender] = tuple(
            Cell(_known(values), None if contender == reference else difference)
            for values, difference in zip(table, differences, strict=True)
        )
    ablation = ablation.among(contenders) if ablation else None
    baselines = {"reference": reference} if ablation else _baselines(contenders, reference)
    return Results(
        name,
        (*lines, MEAN),
        cells,
        reference,
        support=tuple(found.support[line] for line in lines),
        counted=tuple(counted),
        users=users,
        rows=rows,
        unit=unit,
        baselines=baselines,
        chosen={n: contender.candidate for n, contender in contenders.items()},
        pairs=_pairs(means, baselines, ablation.columns if ablation else tuple(contenders)),
        notes=notes,
        qualities={n: _qualities(own, tables, counted) for n, own in tables.records.items()},
        ablation=ablation,
    )


def _qualities(
    records: list[dict[str, Any]], tables: Tables, counted: list[bool]
) -> dict[str, tuple[tuple[float | None, ...], ...]]:
    found = {}
    for figure in QUALITIES:
        table = _table(records, tables.lines, tables.seeds, figure)
        found[figure] = tuple(_known(line) for line in np.vstack([table, _mean(table, counted)]))
    return found


def _table(
    records: list[dict[str, Any]], lines: tuple[tuple[str, str], ...], seeds: tuple[int, ...], figure: str = "auc"
) -> NDArray[np.float64]:
    """[lines, seeds] a figure, NaN where there is none"""
    by_key = {(r["scenario"], r["task"], r["seed"]): r.get(figure) for r in records}
    return np.array([[np.nan if (v := by_key.get((*line, seed))) is None else v for seed in seeds] for line in lines])


def _mean(table: Array, counted: list[bool]) -> Array:
    return np.asarray(table[counted].mean(0)) if any(counted) else np.full(table.shape[1], np.nan)


def _known(values: Array) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(v) else float(v) for v in values)


def task_order(folder: Path, results: Results) -> tuple[str, ...]:
    """A run's tasks in the order of the labels' columns, which its encoders know; else as its table has them."""
    for path in sorted((folder / ENCODERS).glob("*/*/encoder.json")):
        return tuple(task["name"] for task in read_json(path)["schema"]["tasks"])
    return tuple(dict.fromkeys(task for _, task in results.lines[:-1]))


@dataclass(frozen=True)
class _Means:
    """The mean line: AUC per seed and contender, and the users' luck in the sum over its lines, for each two."""

    aucs: Mapping[str, Array]
    pairs: Mapping[tuple[str, str], Spread]
    lines: int

    def compare(self, first: str, second: str) -> Comparison:
        if not self.lines:
            return compare(self.aucs[first], self.aucs[second], None, "every line")
        spread = self.pairs.get((first, second)) or self.pairs.get((second, first)) or Spread(0.0, 0.0, 0)
        return compare(self.aucs[first], self.aucs[second], spread.divided(self.lines))


def _baselines(contenders: Mapping[str, Finished], reference: str) -> dict[str, str]:
    """Named on validation, so that the test rows do not choose what they are then compared with."""
    found = {"reference": reference}
    for what, kind in (("best reference", REFERENCE), ("best pooled", POOLED)):
        names = [name for name, contender in contenders.items() if contender.kind == kind]
        if names:
            found[what] = max(names, key=lambda name: contenders[name].validation_auc)
    return found


def _pairs(means: _Means, baselines: Mapping[str, str], tested: Collection[str]) -> tuple[Pair, ...]:
    """Every two contenders; Holm's correction over those that are tested against a baseline, and over no other."""
    against = set(baselines.values())
    found = [
        Pair(
            first,
            second,
            means.compare(first, second),
            float("nan"),
            family=(first in against and second in tested) or (second in against and first in tested),
        )
        for first, second in combinations(means.aucs, 2)
    ]
    corrected = holm([pair.compared.p_value if pair.family else float("nan") for pair in found])
    return tuple(replace(pair, p_value=p) for pair, p in zip(found, corrected, strict=True))
