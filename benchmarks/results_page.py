"""docs/results.md from docs/results/*.csv and *.json; a reading by hand is taken over from NAME.md beside them.

python benchmarks/results_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from harness import ROOT
from results_read import DataSet, damaged, read_all
from results_tables import (
    LEVEL,
    chosen,
    count,
    data_rows,
    figures_text,
    harms,
    listed,
    qualities,
    sentence,
    standing,
    table,
    tests,
)

from msmtrec.base.errors import UserError
from msmtrec.evaluation.ranks import Ranking, ranked
from msmtrec.record.results import SIGNIFICANT
from msmtrec.report.standing import rank_note
from msmtrec.report.words import points

FOLDER, PAGE = ROOT / "docs" / "results", ROOT / "docs" / "results.md"
HEAD = """# Results on real logs

<!-- Written by `make results-page` from the files of docs/results/: change those. -->
"""
NOTHING = """
The figures are being computed: `make results DATA=kuairand` is a night's work. Until they are here, the
[earlier campaigns](results-earlier.md) are all there is; they lack the simplest contenders.
"""
ABOUT = """
Every contender of a data set was tuned on as many candidates, on validation rows ([benchmarks](bench.md)). The chosen
one trained on all seeds, and the test rows were read once. [What is compared, and how](comparisons.md) says what is
fair, and how p, intervals, effect sizes and ranks are made. Differences are in AUC points (.01).

`bias` and `linear` have no network. `NAME-stats` has [statistics of ids](statistics.md). `pooled` is one model on all
rows, which no federation may have. [Earlier campaigns](results-earlier.md) are kept apart.
"""


def main(folder: Path = FOLDER, place: Path = PAGE) -> int:
    """Writes the page; 0, or 2 with a sentence where a data set cannot be shown as it is."""
    try:
        place.write_text(written(folder), encoding="utf-8")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{place.name} written")
    return 0


def written(folder: Path) -> str:
    """The page as text.

    Raises:
        UserError: as `read_all`.
    """
    found = read_all(folder)
    if not found:
        return HEAD + NOTHING
    parts = [HEAD.rstrip(), ABOUT.strip(), *overview(found)]
    for one in found:
        reading = folder / f"{one.key}.md"
        told = reading.read_text(encoding="utf-8") if reading.exists() else ""
        try:
            parts += of_data_set(one, title(one, found), told)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise damaged(one.key) from error
    return "\n\n".join(part for part in parts if part) + "\n"


def title(one: DataSet, found: Sequence[DataSet]) -> str:
    """The data set's name, and its files' where two have the same."""
    return one.name if [other.name for other in found].count(one.name) == 1 else f"{one.name} ({one.key})"


def overview(found: Sequence[DataSet]) -> Iterator[str]:
    """All data sets in one table: mean test AUC, gain over the reference, and the rank where they are several."""
    names = list(dict.fromkeys(name for one in found for name in one.seeds))
    ranks = over_data_sets(found)
    heads = ["contender", *(title(one, found) for one in found)]
    rows = [[*heads, "rank"] if ranks else heads]
    best = {one.key: max(one.mean(name) for name in one.seeds) for one in found}
    for name in names:
        cells = []
        for one in found:
            text = figures_text(one.mean(name), one.sd(name))
            text = f"**{text}**" if one.mean(name) == best[one.key] else text
            cells.append("<br>".join([text, *gain_text(one, name)]))
        rank = [f"{ranks.ranks[name]:.1f}" if name in ranks.ranks else "–"] if ranks else []
        rows.append([f"`{name}`", *cells, *rank])
    yield "## All data sets"
    yield table(rows)
    said = [
        "Test AUC: mean over scenario × task, ± standard deviation over seeds, the best in bold. Below it the gain over"
        f" `{found[0].reference}`; \\*: the declared test has a corrected p below {LEVEL}.",
    ]
    if ranks:
        said.append(
            f"{sentence(rank_note(ranks, 'data sets'))} Only contenders of all data sets have"
            " one; data sets made of one log are not independent."
        )
    yield " ".join(said)


def over_data_sets(found: Sequence[DataSet]) -> Ranking | None:
    """Of the contenders that all data sets have; None with one data set."""
    names = [name for name in found[0].seeds if all(name in one.seeds for one in found)]
    if len(found) < 2:
        return None
    return ranked(names, np.array([[one.mean(name) for name in names] for one in found]))


def gain_text(one: DataSet, name: str) -> Iterator[str]:
    """None where there is no test of it."""
    if test := one.test(name, one.reference):
        yield points(test[0]) + ("\\*" if test[1] < SIGNIFICANT else "")


def of_data_set(one: DataSet, name: str, reading: str) -> Iterator[str]:
    """One data set's section."""
    yield f"## {name}"
    yield about(one)
    yield reading.strip()
    yield "### The declared tests"
    yield from tests(one)
    yield "### Is a scenario harmed?"
    yield from harms(one)
    yield "### Effect sizes and ranks"
    yield from standing(one)
    yield "### Figures by task"
    yield from qualities(one)
    yield "### What was chosen"
    yield chosen(one)
    yield "### Rows"
    yield from data_rows(one)


def about(one: DataSet) -> str:
    facts = one.facts
    scenarios, tasks = (len({line[n] for line in one.lines}) for n in (0, 1))
    said = [f"{count(scenarios, 'scenario')}, {count(tasks, 'task')}, {count(facts['seeds'], 'seed')}."]
    if tuning := facts["tuning"]:
        said.append(
            f"Candidates of each contender: {tuning['candidates']}, on {count(tuning['tune_seeds'], 'other seed')}, in"
            f" {count(tuning['rungs'], 'rung')}"
            + (f", judged on {tuning['folds']} windows of time." if tuning.get("folds", 1) > 1 else ".")
        )
    else:
        said.append("Nothing was tuned here: the settings are the config's.")
    environment = facts["environment"]
    revision = str(environment["git"] or "unknown")
    revision = revision[:12] + ("-dirty" if revision.endswith("-dirty") else "")
    said.append(
        f"Commit {revision}, torch {environment['packages']['torch']}, {environment['device']},"
        f" {count(environment['cores'], 'core')}. `make results DATA={one.key}`; all figures:"
        f" [{one.key}.csv](results/{one.key}.csv), [{one.key}.json](results/{one.key}.json)."
    )
    if missing := [name for name in one.seeds if name not in one.contenders]:
        said.append(f"Trained elsewhere, so that nothing is tested: {listed(missing)}.")
    return " ".join(said)


if __name__ == "__main__":
    sys.exit(main())
