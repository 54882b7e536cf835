"""results.csv: one line a test figure, to compute with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msmtrec.record import directory
from msmtrec.record.results import Results

COLUMNS = ("data", "contender", "scenario", "task", "seed", "valid_auc", "test_auc")


def figures(folder: Path, results: Results) -> str:
    """CSV of a run directory, in the table's order. A figure that does not exist is empty.

    `valid_auc` is the validation AUC of the scenario's chosen round, by task: the model that `test_auc` is of.

    Raises:
        UserError: the directory is incomplete.
    """
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    data = next(iter(directory.read_json(folder / directory.DATA).values()))["name"]
    for contender, candidate in results.chosen.items():
        place = directory.contender_folder(folder, contender, candidate)
        order = {line: n for n, line in enumerate(results.lines)}
        lines = sorted(lines_of_column(data, contender, place), key=lambda line: order[line[2], line[3]])
        table.writerows(lines)
    return file.getvalue()


def lines_of_column(data: str, column: str, folder: Path) -> Iterator[list[Any]]:
    """The lines of a measured column, from its folder.

    Raises:
        UserError: the folder is incomplete.
    """
    valid = _validation(folder)
    for r in directory.read_json(folder / directory.TEST):
        key = (r["scenario"], r["task"], r["seed"])
        yield [data, column, *key, _text(valid.get(key)), _text(r["auc"])]


def _validation(place: Path) -> Mapping[tuple[str, str, int], float | None]:
    """(scenario, task, seed) -> validation AUC of the chosen round"""
    chosen = {(c["scenario"], c["seed"]): c["round"] for c in directory.read_json(place / "validation.json")}
    return {
        (m["scenario"], m["task"], m["seed"]): m["auc"]
        for m in _lines(place)
        if m["round"] == chosen.get((m["scenario"], m["seed"]))
    }


def _lines(place: Path) -> Iterator[dict[str, Any]]:
    """Validation after aggregation or fine-tuning, which is where a round is chosen."""
    for m in directory.read_lines(place / "metrics.jsonl"):
        if m["split"] == "validation" and m["stage"] in ("after", "fine-tune"):
            yield m


def _text(auc: float | None) -> str:
    return "" if auc is None else f"{auc:.6f}"
