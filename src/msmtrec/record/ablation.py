"""The lines of an ablation's table: every variant beside what it was made of, on validation and on test rows."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.record import directory
from msmtrec.record.results import Cell, Pair, Results

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """One line.

    Args:
        part: that is changed; empty for what stands beside the variants.
        column: of the table.
        was: what the part was before, as a config has it; empty where that is not one setting.
        validation: [S] mean AUC of the chosen rounds, over the same lines for all; NaN where there is none.
        gain: mean over seeds of `validation` less that of the reference.
        test: the mean line.
        compared: with the reference, on the mean line; None for the reference itself.
    """

    part: str
    column: str
    _: KW_ONLY
    was: str
    validation: Array
    gain: float
    test: Cell
    compared: Pair | None


def variants(folder: Path, results: Results) -> list[Variant]:
    """The reference, what stands beside it, and then every variant, by part.

    Raises:
        UserError: the run is no ablation, or a file of it is missing or damaged.
    """
    if results.ablation is None:
        raise UserError(f"{folder} holds no ablation; msmtrec ablate CONFIG makes one")
    found, tried = validation(folder, results), directory.read_json(folder / directory.CANDIDATES)
    settings = {name: tried[name][candidate] for name, candidate in results.chosen.items()}
    base = results.reference
    tested = [(part, column) for part, own in results.ablation.variants.items() for column in own]
    others = [name for name in results.cells if name != base and name not in results.ablation.columns]
    return [
        Variant(
            part,
            name,
            was=_was(settings, base, name, part) if part else "",
            validation=found[name],
            gain=float((found[name] - found[base]).mean()),
            test=results.cells[name][-1],
            compared=results.pair(name, base),
        )
        for part, name in [("", base), *(("", name) for name in others), *tested]
    ]


def validation(folder: Path, results: Results) -> dict[str, Array]:
    """Column -> [S] mean validation AUC of the chosen rounds, over those lines of the test mean that all have one.

    Raises:
        UserError: results.csv is missing or damaged.
    """
    lines = [line for line, counts in zip(results.lines, results.counted, strict=False) if counts]
    aucs: dict[tuple[str, str, str], dict[str, float]] = {}
    try:
        with (folder / directory.FIGURES).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = (row["contender"], row["scenario"], row["task"])
                aucs.setdefault(key, {})[row["seed"]] = float(row["valid_auc"] or "nan")
        seeds = list(dict.fromkeys(seed for own in aucs.values() for seed in own))
        if len(seeds) != len(results.cells[results.reference][-1].auc):
            raise ValueError("it has other seeds than the table")
        table = np.array([[[aucs[c, *line][s] for s in seeds] for line in lines] for c in results.cells])
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{folder / directory.FIGURES} is missing or damaged; is its folder a finished run?") from error
    table = table.reshape(len(results.cells), len(lines), len(seeds))
    table = table[:, ~np.isnan(table).any((0, 2))]
    means = table.mean(1) if table.shape[1] else np.full((len(table), len(seeds)), np.nan)
    return dict(zip(results.cells, means, strict=True))


def _was(settings: Mapping[str, Mapping[str, Any]], base: str, name: str, part: str) -> str:
    """The one setting in which a variant differs from its base, as it is there."""
    different = [(k, v) for k, v, _ in directory.differences(settings[base], settings[name]) if k != "fine_tune"]
    if len(different) != 1 or isinstance(different[0][1], dict):
        return ""
    key, was = different[0]
    key = key.rpartition(".")[2]
    return _text(was) if key == part else f"{key}: {_text(was)}"


def _text(value: Any) -> str:
    if isinstance(value, bool | None):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
