"""docs/results.md from docs/results/*.csv and *.json; a reading by hand is taken over from NAME.md beside them.

python benchmarks/results_page.py
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import page
from harness import ROOT
from results_read import DataSet, read_all

from msmtrec.base.errors import UserError
from msmtrec.evaluation.ranks import Ranking, ranked
from msmtrec.record.results import SIGNIFICANT
from msmtrec.record.standing import harm
from msmtrec.report.qualities import CAPTION, WITH_AUC, spread_text
from msmtrec.report.standing import EFFECT, effect_text, harm_note, harm_texts, rank_note
from msmtrec.report.words import p_text, points, span
from msmtrec.studies.digest import OWN_STATISTICS

FOLDER, PAGE = ROOT / "docs" / "results", ROOT / "docs" / "results.md"
FEW = 12
"""Lines up to which a data set has a table of them."""
HEAD = """# Results on real logs

<!-- Written by `make results-page` from the files of docs/results/: change those. -->
"""
NOTHING = """
The figures are being computed: `make results DATA=kuairand` is a night's work. Until they are here, the
[earlier campaigns](results-earlier.md) are all there is; they lack the simplest contenders.
"""
ABOUT = """
Every contender of a data set was tuned on as many candidates, on validation rows ([benchmarks](bench.md)). The chosen
one trained on all seeds, and the test rows were read once. [What is compared, and how](comparisons.md) says what is fair,
and how p, intervals, effect sizes and ranks are made. Differences are in AUC points (.01).

`bias` and `linear` have no network. `NAME-stats` has [statistics of ids](statistics.md). `pooled` is one model on all rows,
which no federation may have. [Earlier campaigns](results-earlier.md) are kept apart.
"""
_LEVEL = f"{SIGNIFICANT:g}".removeprefix("0")


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
        parts += of_data_set(one, title(one, found), reading.read_text(encoding="utf-8") if reading.exists() else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def title(one: DataSet, found: Sequence[DataSet]) -> str:
    """The data set's name, and its files' where two have the same."""
    return one.name if [other.name for other in found].count(one.name) == 1 else f"{one.name} ({one.key})"


def overview(found: Sequence[DataSet]) -> Iterator[str]:
    """All data sets in one table: mean test AUC, gain over the reference, and the rank where they are several."""
    names = list(dict.fromkeys(name for one in found for name in one.seeds))
    ranks = over_data_sets(found)
    heads = ["contender"]
    for one in found:
        heads += [f"{title(one, found)}: test AUC", f"− {one.reference}"]
    rows = [[*heads, "rank"] if ranks else heads]
    best = {one.key: max(one.mean(name) for name in one.seeds) for one in found}
    for name in names:
        row = [f"`{name}`"]
        for one in found:
            text = spread_text(one.mean(name), one.sd(name))
            row += [f"**{text}**" if one.mean(name) == best[one.key] else text, gain_text(one, name)]
        rows.append([*row, *([f"{ranks.ranks[name]:.1f}" if name in ranks.ranks else "–"] if ranks else [])])
    yield "## All data sets"
    yield table(rows)
    said = [
        "Mean ± standard deviation over seeds of the mean over scenario × task; the best in bold.",
        f"\\*: the declared test against the reference has a corrected p below {_LEVEL}.",
    ]
    if ranks:
        said.append(f"{_sentence(rank_note(ranks, 'data sets'))} Only contenders of all data sets have one.")
    yield " ".join(said)


def over_data_sets(found: Sequence[DataSet]) -> Ranking | None:
    """Of the contenders that all data sets have; None with one data set."""
    names = [name for name in found[0].seeds if all(name in one.seeds for one in found)]
    if len(found) < 2:
        return None
    return ranked(names, np.array([[one.mean(name) for name in names] for one in found]))


def gain_text(one: DataSet, name: str) -> str:
    test = one.test(name, one.reference)
    return "" if test is None else points(test[0]) + ("\\*" if test[1] < SIGNIFICANT else "")


def of_data_set(one: DataSet, name: str, reading: str) -> Iterator[str]:
    """One data set's section."""
    yield f"## {name}"
    yield about(one)
    yield reading.strip()
    yield "### The declared tests"
    yield from tests(one)
    yield "### Is a scenario harmed?"
    yield from harms(one)
    yield "### Figures by task"
    yield from qualities(one)
    yield "### What was chosen"
    yield chosen(one)
    yield "### Rows"
    yield from data_rows(one)


def about(one: DataSet) -> str:
    facts = one.facts
    scenarios, tasks = (len({line[n] for line in one.lines}) for n in (0, 1))
    said = [f"{_count(scenarios, 'scenario')}, {_count(tasks, 'task')}, {_count(facts['seeds'], 'seed')}."]
    if tuning := facts["tuning"]:
        said.append(
            f"Candidates of each contender: {tuning['candidates']}, on {_count(tuning['tune_seeds'], 'other seed')}, in"
            f" {_count(tuning['rungs'], 'rung')}."
        )
    environment = facts["environment"]
    revision = str(environment["git"] or "unknown")
    revision = revision[:12] + ("-dirty" if revision.endswith("-dirty") else "")
    said.append(
        f"Commit {revision}, torch {environment['packages']['torch']}, {environment['device']},"
        f" {_count(environment['cores'], 'core')}. `make results DATA={one.key}`; all figures:"
        f" [{one.key}.csv](results/{one.key}.csv), [{one.key}.json](results/{one.key}.json)."
    )
    if missing := [name for name in one.seeds if name not in one.contenders]:
        said.append(f"Trained elsewhere, so that nothing is tested: {_listed(missing)}.")
    return " ".join(said)


def tests(one: DataSet) -> Iterator[str]:
    """What they show in words, and the table."""
    said = []
    for other, what in one.baselines.items():
        groups: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
        for name in one.contenders:
            if test := one.test(name, other):
                clear = test[1] < SIGNIFICANT
                groups[("better" if test[0].difference > 0 else "worse") if clear else "not told apart"].append(name)
        listed = "; ".join(f"{verb}: {_listed(names)}" for verb, names in groups.items() if names)
        said.append(f"- Against `{other}`{f' ({what} on validation)' if what else ''}: {listed}.")
    yield "\n".join(said)
    heads = ["contender"]
    for other in one.baselines:
        heads += [f"− {other}", "d"]
    rows = [[*heads, "rank"]]
    for name, facts in one.contenders.items():
        row = [f"`{name}`"]
        for other in one.baselines:
            row += test_texts(one.test(name, other))
        rows.append([*row, f"{facts['rank']:.1f}"])
    yield table(rows)
    facts, ranks = one.facts, one.facts["ranks"]
    found = Ranking({}, ranks["lines"], ranks["distance"], math.nan if ranks["p"] is None else ranks["p"])
    drawn = f"{facts['rows']:,} test rows"
    drawn = drawn if facts["unit"] == "rows" else f"{facts['users']:,} {facts['unit']} ({drawn})"
    counted = sum(line["counted"] for line in facts["lines"])
    yield " ".join(
        [
            f"Mean over {counted} of {len(one.lines)} lines (scenario × task); 95 % interval over seeds and"
            f" {drawn}; p Holm-corrected over"
            f" {facts['tests']} declared tests, bold below {_LEVEL}.",
            _sentence(EFFECT),
            _sentence(rank_note(found)),
        ]
    )


def test_texts(test: Any) -> list[str]:
    """Difference with p and interval; effect size."""
    if test is None:
        return ["", ""]
    compared, p, effect = test
    text = f"{points(compared)} (p {p_text(p)})" if compared.tested else points(compared)
    text = f"**{text}**" if p < SIGNIFICANT else text
    return [f"{text}<br>{span(compared)}", effect_text(effect)]


def harms(one: DataSet) -> Iterator[str]:
    """Against the reference, and against it with statistics of its own where it is there."""
    references = [name for name in (one.reference, OWN_STATISTICS) if name in one.contenders]
    few = [
        f"{' '.join(line)} ({raw['few']})"
        for line, raw in zip(one.lines, one.facts["lines"], strict=True)
        if raw["few"]
    ]
    rows = [["contender"]]
    for reference in references:
        rows[0] += [f"below `{reference}`", "clearly", "lowest end", "harm"]
    for name in one.contenders:
        cells = []
        for reference in references:
            gains = one.gains(name, reference)
            found = harm(gains)
            word = "**yes**" if found.clear else "excluded" if found.excluded else "possible"
            cells += [*harm_texts(found), word] if gains else [""] * 4
        rows.append([f"`{name}`", *cells])
    yield table(rows)
    said = [_sentence(harm_note(one.reference if len(references) == 1 else "it"))]
    said.append("Harm: yes where a line is clearly below; excluded where no interval reaches below −1 point.")
    if few:
        said.append(f"Too few rows for a test: {', '.join(few)}.")
    yield " ".join(said)
    if len(one.lines) <= FEW:
        yield table([["gain", *(" ".join(line) for line in one.lines)], *line_gains(one)])
        said = (
            f"Gain over `{one.reference}` by line; bold where p is below {_LEVEL}, Holm-corrected over the contender's"
        )
        yield f"{said} lines."


def line_gains(one: DataSet) -> Iterator[list[str]]:
    for name in one.contenders:
        gains = [(points(gain.compared), gain.p_value < SIGNIFICANT) for gain in one.gains(name, one.reference)]
        if gains:
            yield [f"`{name}`", *(f"**{text}**" if clear else text for text, clear in gains)]


def qualities(one: DataSet) -> Iterator[str]:
    """Mean ± standard deviation over seeds, task by task."""
    rows = [["task", "contender", *WITH_AUC.values()]]
    for task in dict.fromkeys(task for _, task in one.lines):
        for n, (name, facts) in enumerate(one.contenders.items()):
            cells = [spread_text(*_pair(facts["tasks"][task][key])) for key in WITH_AUC]
            rows.append([f"*{task}*" if n == 0 else "", f"`{name}`", *cells])
    yield table(rows, 2)
    yield f"{CAPTION}."


def chosen(one: DataSet) -> str:
    """Settings that validation chose; contenders of the same ones in one line."""
    groups: dict[str, list[str]] = {}
    for name, facts in one.contenders.items():
        settings = facts["chosen"]
        text = settings if isinstance(settings, str) else ", ".join(f"{key}={value}" for key, value in settings.items())
        groups.setdefault(text or "nothing to choose", []).append(name)
    return table([["contenders", "settings"], *([_listed(names), text] for text, names in groups.items())], 2)


def data_rows(one: DataSet) -> Iterator[str]:
    """Rows by scenario; positives of every task among the test rows."""
    tasks = list(dict.fromkeys(task for _, task in one.lines))
    positives = {line: raw["positives"] for line, raw in zip(one.lines, one.facts["lines"], strict=True)}
    rows = [["scenario", "training rows", "validation", "test", *(f"{task} in test" for task in tasks)]]
    for name, counts in one.facts["data"]["rows"].items():
        found = [positives.get((name, task)) for task in tasks]
        splits = [f"{counts[split]:,}" for split in ("train", "validation", "test")]
        rows.append([name, *splits, *("–" if n is None else f"{n:,}" for n in found)])
    yield table(rows)


def table(rows: list[list[str]], left: int = 1) -> str:
    """Markdown, figures at the right. left: columns of text."""
    head, _, *body = page.table(rows).splitlines()
    aligned = ["---"] * left + ["---:"] * (len(rows[0]) - left)
    return "\n".join([head, "| " + " | ".join(aligned) + " |", *body])


def _pair(values: Sequence[float | None]) -> tuple[float, float]:
    mean, sd = (math.nan if value is None else value for value in values)
    return mean, sd


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.exit(main())
