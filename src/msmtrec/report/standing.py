"""Ranks, effect sizes and harm in words and figures that Markdown, LaTeX and the page share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from msmtrec.evaluation.ranks import Ranking
from msmtrec.record.results import SIGNIFICANT, Results
from msmtrec.record.standing import Harm, effect, gains, harm, ranking
from msmtrec.report.words import p_text

EFFECT = (
    "effect d: by how many standard deviations of the score the contender separates the classes better than the other"
    " one, √2 Φ⁻¹(AUC), mean over lines; .2 is called small"
)
_NAMED = 3
"""Lines that a cell names."""


@dataclass(frozen=True)
class Standing:
    """One row a contender.

    Args:
        heads: of the columns after the name.
        notes: what must be known to read them.
    """

    heads: list[str]
    rows: Mapping[str, list[str]]
    notes: list[str]


def standing(results: Results) -> Standing | None:
    """None where there is one contender, or no line that the mean counts."""
    found = ranking(results)
    if found is None:
        return None
    others = list(dict.fromkeys(results.baselines.values()))
    reference = results.reference
    heads = ["rank", *(f"d − {name}" for name in others), f"below {reference}", "clearly", "lowest end"]
    rows = {}
    for name in results.cells:
        effects = [effect_text(effect(results, name, other)) if other != name else "" for other in others]
        harmed = ["", "", ""] if name == reference else list(harm_texts(harm(gains(results, name))))
        rows[name] = [f"{found.ranks[name]:.1f}", *effects, *harmed]
    notes = [rank_note(found), EFFECT, harm_note(reference)]
    return Standing(heads, rows, notes)


def rank_note(found: Ranking, of: str = "lines") -> str:
    """How to read average ranks over lines of one data set."""
    friedman = "" if math.isnan(found.p_value) else f", Friedman's p {p_text(found.p_value)}"
    apart = f"ranks closer than {found.distance:.1f} (Nemenyi, .05) are not told apart{friedman}"
    if of != "lines":
        return f"rank: average over {found.lines} {of} of the mean AUC, 1 is the best; {apart}"
    return (
        f"rank: average over {found.lines:,} line{'' if found.lines == 1 else 's'}, 1 is the best; {apart}; this takes"
        " lines as independent, and those of one data set share their rows: the tests count, the ranks illustrate"
    )


def harm_note(reference: str) -> str:
    """How to read `harm_texts`."""
    return (
        f"below: lines below {reference}; clearly: with p below {SIGNIFICANT:g}".replace("0.", ".")
        + ", Holm-corrected over the contender's lines; lowest end: of the lines' 95 % intervals, in points"
    )


def harm_texts(found: Harm) -> tuple[str, str, str]:
    """(how many lines are below, which of them clearly, how low an interval reaches)"""
    names = [" ".join(gain.line) for gain in found.clear]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    lowest = "–"
    if found.lowest:
        lowest = f"{100 * found.lowest.compared.low:+.2f} ({' '.join(found.lowest.line)})"
    return f"{found.below} of {found.lines}", ", ".join(names[:_NAMED]) + more or "none", lowest


def effect_text(value: float) -> str:
    """Two digits with a sign, without the zero before the point."""
    return "–" if math.isnan(value) else f"{value:+.2f}".replace("0.", ".", 1)
