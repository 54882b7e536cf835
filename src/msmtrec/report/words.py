"""The comparisons in words and figures that the terminal, Markdown and the page share."""

from __future__ import annotations

import math
from collections.abc import Iterator

from msmtrec.evaluation.compare import Comparison
from msmtrec.evaluation.support import FEWEST
from msmtrec.record.columns import AS_IT_WAS, contender_of
from msmtrec.record.results import SIGNIFICANT, Results


def points(compared: Comparison) -> str:
    """In AUC points of .01."""
    return "–" if math.isnan(compared.difference) else f"{100 * compared.difference:+.2f}"


def span(compared: Comparison) -> str:
    """The interval, or why there is none."""
    return f"{100 * compared.low:+.2f} … {100 * compared.high:+.2f}" if compared.tested else compared.untested


def p_text(p_value: float) -> str:
    """Three digits, and never a zero."""
    if math.isnan(p_value):
        return "–"
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")


def drawn(results: Results) -> str:
    """What the intervals take as drawn at random, and how many."""
    if results.unit == "rows":
        return f"{results.rows:,} test rows"
    return f"{results.users:,} {results.unit} ({results.rows:,} test rows)"


def gaps(results: Results) -> list[str]:
    """What is not tested, what the mean does not count, and which figures do not exist: a sentence each."""
    found = []
    named = [" ".join(line) for line in results.lines[:-1]]
    few = [support.few for support in results.support]
    if any(few):
        of_users = "" if results.unit == "rows" else f" of {FEWEST} {results.unit} each"
        names = [f"{name} ({little})" for name, little in zip(named, few, strict=True) if little]
        found.append(
            f"† no test and no interval, for want of {FEWEST} positive and {FEWEST} negative test rows{of_users}:"
            f" {_listed(names)}"
        )
    if results.mean_of:
        out = [name for name, counts in zip(named, results.counted, strict=True) if not counts]
        found.append(
            f"the mean counts {results.mean_of}, the same for every contender; left out: {_listed(out)}"
            " (no test, or no AUC of some contender)"
        )
    for contender, cells in results.cells.items():
        names = [
            f"{name} ({cells[n].auc.count(None)} of {len(cells[n].auc)} seeds)"
            for n, name in enumerate(named)
            if None in cells[n].auc and any(None not in other[n].auc for other in results.cells.values())
        ]
        if names:
            found.append(f"{contender} has no test AUC in {_listed(names)}: its scores there are no finite numbers")
    return found


def _listed(names: list[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def baseline_titles(results: Results) -> dict[str, str]:
    """Contender that the others are tested against -> what it is. One that is several things stands once."""
    found: dict[str, list[str]] = {}
    for what, name in results.baselines.items():
        found.setdefault(name, []).append("" if what == "reference" else what)
    return {name: ", ".join(what for what in whats if what) for name, whats in found.items()}


def told_apart(results: Results, name: str) -> dict[str, list[str]]:
    """Sign -> the contenders that are better than one ("up"), worse ("down"), or not told apart ("")."""
    groups: dict[str, list[str]] = {"up": [], "down": [], "": []}
    for contender in results.cells:
        pair = results.pair(contender, name)
        if pair and pair.family and pair.compared.tested:
            groups[pair.sign].append(contender)
    return groups


def verdicts(results: Results) -> Iterator[str]:
    """What the declared tests show, one sentence for each contender that the others are tested against."""
    if not results.tests:
        return
    for name, what in baseline_titles(results).items():
        groups = told_apart(results, name)
        said = [
            f"{verb}: {', '.join(groups[sign])}"
            for sign, verb in (("up", "better"), ("down", "worse"), ("", "not told apart"))
            if groups[sign]
        ]
        if said:
            yield f"against {name}{f' ({what} on validation)' if what else ''}: {'; '.join(said)}"


def trained_on(results: Results) -> Iterator[str]:
    """What new rows brought to contenders that went on from another run: against the models as they were."""
    for name in results.cells:
        before = f"{contender_of(name)}{AS_IT_WAS}"
        pair = results.pair(name, before) if before in results.cells and before != name else None
        if pair is not None:
            yield f"{name} against {before}: {points(pair.compared)} points, 95 % interval {span(pair.compared)}"


def correction(results: Results) -> str:
    """How the p-values of the declared tests are corrected."""
    return f"Holm-corrected over {results.tests} declared test{'' if results.tests == 1 else 's'}, level {SIGNIFICANT}"
