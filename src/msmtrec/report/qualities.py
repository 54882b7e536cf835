"""Figures beside AUC: ranking within a user, and whether probabilities are right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from msmtrec.record.results import Results
from msmtrec.record.standing import by_task, on_mean
from msmtrec.report.blocks import Blocks

TITLES = {
    "gauc": "GAUC",
    "log_loss": "log loss",
    "normalised_entropy": "norm. entropy",
    "calibration": "calibration",
    "ece": "ECE",
}
WITH_AUC = {"auc": "AUC", **TITLES}
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


def parts(results: Results) -> Iterator[tuple[str, Mapping[str, Mapping[str, tuple[float, float]]]]]:
    """(what it is of, contender -> figure -> (mean, standard deviation)): the mean first, then tasks where several."""
    yield results.mean_of or "all lines", {name: on_mean(results, name) for name in results.cells}
    tasks = {name: by_task(results, name) for name in results.cells}
    names: Sequence[str] = list(next(iter(tasks.values())))
    for task in names if len(names) > 1 else ():
        yield task, {name: found[task] for name, found in tasks.items()}


def quality_markdown(results: Results) -> list[str]:
    """All figures of all contenders, mean ± standard deviation over seeds: on the mean, and task by task."""
    lines = [["of", "contender", *WITH_AUC.values()], ["---", "---"] + ["---:"] * len(WITH_AUC)]
    for what, contenders in parts(results):
        for n, (name, figures) in enumerate(contenders.items()):
            lines.append([what if n == 0 else "", name, *(spread_text(*figures[key]) for key in WITH_AUC)])
    return ["| " + " | ".join(line) + " |" for line in lines]


def spread_text(mean: float, sd: float | None) -> str:
    """Mean ± standard deviation, four digits each."""
    known = sd is not None and not math.isnan(sd)
    return _text(mean) + (f" ± {sd:.4f}" if known else "")


def _text(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"
