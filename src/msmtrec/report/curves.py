"""Learning curves: a panel per scenario and task, from the first round to the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.aggregation.summaries import LISTED
from msmtrec.record.reading import ContenderRecord, RunRecord
from msmtrec.report.figure import Figure, colour
from msmtrec.report.lines import Chart, Line

Array = NDArray[np.float64]
PANELS = 12
"""Panels that are open at once; the others are a click away."""


@dataclass(frozen=True)
class Curves:
    """Args:
    panels: one a line of the table, the means of all others last.
    legend: (contender, classes of its line, whether it is drawn from the start) for every training.
    drawn, of: scenarios with panels of their own, and all of them.
    """

    panels: list[Figure]
    legend: list[tuple[str, str, bool]]
    drawn: int
    of: int
    _: KW_ONLY
    chosen: Figure
    fine_tuned: bool


def learning_curves(run: RunRecord) -> Curves:
    """Validation AUC by round, a line per training, a dot for the chosen models.

    With many scenarios the largest have panels, and one more panel a task has the mean over all others.
    """
    names = run.largest(LISTED)
    others = [name for name in run.scenarios if name not in names]
    lines = set(run.results.lines)
    wanted: list[tuple[list[str], str, str]] = [
        ([scenario], task, f"{scenario} · {task}")
        for scenario in names
        for task in run.tasks
        if (scenario, task) in lines
    ]
    if others:
        wanted += [(others, task, f"mean of the {len(others):,} others · {task}") for task in run.tasks]
    tables = {name: Table(contender) for name, contender in run.contenders.items()}
    reach = _rounds(run)
    panels = [
        found
        for number, panel in enumerate(wanted)
        if (found := _panel(run, tables, panel, key=f"curve-{number}", reach=reach))
    ]
    legend = [(name, kind_of(run, name), True) for name in trainings(run)]
    fine_tuned = any((c.metrics["stage"] == "fine-tune").any() for c in run.contenders.values())
    return Curves(
        panels, legend, len(names), len(run.scenarios), chosen=_chosen(run, tables, set(names)), fine_tuned=fine_tuned
    )


class Table:
    """One contender's validation AUC, ready to be asked for any scenario and task: the metrics are read once."""

    def __init__(self, contender: ContenderRecord) -> None:
        kept = contender.metrics.filter(pl.col("stage") != "before", pl.col("auc").is_not_null())
        self._parts = {
            (str(scenario), str(task)): part
            for (scenario, task), part in kept.partition_by("scenario", "task", as_dict=True).items()
        }
        self.contender = contender

    def part(self, scenarios: Sequence[str], task: str) -> ContenderRecord:
        """The contender with the metrics of these scenarios and this task only."""
        found = [self._parts[s, task] for s in scenarios if (s, task) in self._parts]
        metrics = pl.concat(found) if found else self.contender.metrics.clear()
        return ContenderRecord(self.contender.name, metrics, [], self.contender.chosen)


def trainings(run: RunRecord) -> list[str]:
    """Contenders with rounds of their own; a fine-tuned column goes on from one of them, in its colour."""
    return [name for name in run.contenders if not run.repeats(name)]


def kind_of(run: RunRecord, name: str) -> str:
    """Classes of a contender's line: `s` and its number to switch it off by, and its colour."""
    number = trainings(run).index(run.repeats(name) or name)
    return f"s{number} {colour(number)}"


def _panel(
    run: RunRecord,
    tables: dict[str, Table],
    panel: tuple[list[str], str, str],
    *,
    key: str,
    reach: tuple[float, float],
) -> Figure | None:
    scenarios, task, title = panel
    found: list[tuple[str, str, Array, Array, tuple[float, float] | None]] = []
    for name in run.contenders:
        part, kind = tables[name].part(scenarios, task), kind_of(run, name)
        dot = part.at_choice(scenarios[0], task) if len(scenarios) == 1 else None
        if not run.repeats(name):
            found.append((name, kind, *part.curve(scenarios, task, ("after",)), dot))
            dot = None
        tuned = part.curve(scenarios, task, ("fine-tune",))
        if len(tuned[0]):
            after = f"{name}, fine-tuning" if not run.repeats(name) else name
            found.append((after, f"{kind} tuned", *tuned, dot))
        elif dot:  # chosen before the fine-tuning, and nothing of its own to draw
            found.append((name, kind, np.array([dot[0]]), np.array([dot[1]]), dot))
    found = [one for one in found if len(one[2])]
    if not found:
        return None
    rounds = np.unique(np.concatenate([one[2] for one in found]))
    lines = [Line(name, kind, _spread(rounds, at, values), dot) for name, kind, at, values, dot in found]
    return Chart(key, title, rounds, lines, unit="validation AUC", reach=reach).figure()


def _spread(rounds: Array, at: Array, values: Array) -> Array:
    """[R] values at their rounds, NaN at others"""
    found = np.full(len(rounds), np.nan)
    found[np.searchsorted(rounds, at)] = values
    return found


def _chosen(run: RunRecord, tables: dict[str, Table], scenarios: set[str]) -> Figure:
    """What the dots are, to be saved."""
    rows = []
    for name, table in tables.items():
        for scenario, task in run.results.lines[:-1]:
            if scenario in scenarios and (dot := table.part([scenario], task).at_choice(scenario, task)):
                rows.append([name, scenario, task, *dot])
    columns = ["contender", "scenario", "task", "median chosen round", "validation AUC"]
    return Figure("chosen", "chosen models", "", columns, rows=rows)


def _rounds(run: RunRecord) -> tuple[float, float]:
    """First and last of all contenders, so that all panels have the same axis."""
    ends = pl.concat(
        [c.metrics.select(low=pl.col("round").min(), high=pl.col("round").max()) for c in run.contenders.values()]
    )
    low, high = ends["low"].min(), ends["high"].max()
    return float(low or 0), float(high or 0)  # type: ignore[arg-type]
