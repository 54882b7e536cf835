"""Who conflicts with whom, who listens to whom: figures and their captions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msmtrec.aggregation.summaries import LISTED
from msmtrec.record.reading import ContenderRecord, RunRecord
from msmtrec.record.relations import all_pairs, conflicts, listening, personalisation, plain_means
from msmtrec.report.plots import LINES, heat_map, mixtures


@dataclass(frozen=True)
class Figure:
    svg: str
    caption: str


def relations(run: RunRecord) -> list[tuple[str, list[Figure]]]:
    """(contender, its figures) for every training that coordinates; heat maps have the largest scenarios."""
    own = [contender for contender in run.contenders.values() if not run.repeats(contender.name)]
    found = [(c.name, _figures(run, c, f"relation-{n}")) for n, c in enumerate(own)]
    return [(name, figures) for name, figures in found if figures]


def _figures(run: RunRecord, contender: ContenderRecord, key: str) -> list[Figure]:
    drawn = run.largest(LISTED)
    cosine, matrix = conflicts(contender, drawn), listening(contender, drawn)
    if cosine is None or matrix is None or len(run.scenarios) < 2:
        return []
    of, name = len(run.scenarios), contender.name
    some = f" The {len(drawn)} largest of {of:,} scenarios." if len(drawn) < of else ""
    high, note = max(1.0, float(np.nanmax(matrix))), ""
    if some:  # each of many gives little: beside a scenario's own update it could not be seen
        others = matrix[~np.eye(len(drawn), dtype=bool)]
        high = float(np.nanmax(others, initial=0.0)) or high
        own = float(np.nanmean(np.diag(matrix)))
        note = f" Colours end at the most that one takes of another; of its own it keeps {own:.2f}."
    conflict = heat_map(cosine, drawn, f"{name} conflict", -1, 1, "RdBu", key=f"{key}-conflict")
    heard = heat_map(matrix, drawn, f"{name} listening", 0, high, "Blues", key=f"{key}-listening")
    found = [
        Figure(conflict, _conflict(contender, some)),
        Figure(heard, f"Listening: row takes from column.{some}{note}"),
    ]
    mixed = personalisation(contender, run.scenarios)
    if mixed:
        lines = run.largest(LINES)
        few = f" The {len(lines)} largest of {of:,} scenarios, and the spread of all." if len(lines) < of else ""
        figure = mixtures(*mixed, run.scenarios, f"{name} mixture", lines, f"{key}-mixture")
        found.append(Figure(figure, f"Mixture by round, mean over seeds.{few}"))
    return found


def _conflict(contender: ContenderRecord, some: str) -> str:
    pairs, (degenerate, problems) = all_pairs(contender), plain_means(contender)
    caption = "Conflict."
    if pairs:
        caption = f"Conflict: {100 * pairs.negative:.0f} % of pairs point against each other."
        if some:
            caption += (
                f"{some} All {pairs.count:,} pairs: mean {pairs.mean:+.2f}, nine of ten between {pairs.low:+.2f} and"
                f" {pairs.high:+.2f}."
            )
    if contender.settings.get("options", {}).get("coordination"):
        caption += f" Coordination gave way to the plain mean in {degenerate:,} of {problems:,} problems."
    return caption
