"""Figures beside AUC: ranking within a user, and whether probabilities are right."""

from __future__ import annotations

import math

from rich.text import Text

from msmtrec.record.results import Results
from msmtrec.report.blocks import Blocks

TITLES = {
    "gauc": "GAUC",
    "log_loss": "log loss",
    "normalised_entropy": "norm. entropy",
    "calibration": "calibration",
    "ece": "ECE",
}
CAPTION = (
    "GAUC: AUC within a user; norm. entropy: log loss over that of the label rate alone; calibration: probabilities"
    " over positives, 1 is right on average; ECE: how far probabilities are from label rates"
)


def quality_rows(results: Results) -> dict[str, list[str]]:
    """Contender -> its figures in the order of TITLES, on the mean over scenario × task and over seeds."""
    return {name: [_text(results.quality(name, figure)) for figure in TITLES] for name in results.qualities}


def quality_table(results: Results) -> Blocks:
    """Lines = contenders, columns = figures."""
    rows = quality_rows(results)
    columns = [(title, [Text(row[n]) for row in rows.values()]) for n, title in enumerate(TITLES.values())]
    mean = f"mean of {results.mean_of}" if results.mean_of else "mean over scenario × task"
    return Blocks(f"Beside AUC, {mean}, test rows", CAPTION, {"contender": list(rows)}, columns, last_apart=False)


def quality_markdown(results: Results) -> list[str]:
    """The same as Markdown."""
    rows = [[name, *row] for name, row in quality_rows(results).items()]
    head = ["contender", *TITLES.values()]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] + ["---:"] * len(TITLES), *rows)]


def _text(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"
