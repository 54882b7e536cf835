"""The tables of one data set on docs/results.md, and what must be known to read them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import page
from results_read import DataSet, number

from msmtrec.evaluation.compare import Comparison
from msmtrec.evaluation.ranks import Ranking
from msmtrec.record.results import SIGNIFICANT
from msmtrec.record.standing import harm
from msmtrec.report.latex import SHOWN
from msmtrec.report.qualities import spread_text
from msmtrec.report.standing import EFFECT, effect_text, harm_note, harm_texts, rank_note
from msmtrec.report.words import p_text, points, span
from msmtrec.studies.digest import OWN_STATISTICS

FEW = 12
"""Lines up to which a data set has a table of them."""
_KEPT = "\u00a0"
LEVEL = f"{SIGNIFICANT:g}".removeprefix("0")


def tests(one: DataSet) -> Iterator[str]:
    """What they show in words, and the table."""
    said = []
    for other, what in one.baselines.items():
        groups: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
        for name in one.contenders:
            if (test := one.test(name, other)) and test[0].tested:
                clear = test[1] < SIGNIFICANT
                groups[("better" if test[0].difference > 0 else "worse") if clear else "not told apart"].append(name)
        sides = "; ".join(f"{verb}: {listed(names)}" for verb, names in groups.items() if names)
        said.append(f"- Against `{other}`{f' ({what} on validation)' if what else ''}: {sides}.")
    yield "\n".join(said)
    others = list(one.baselines)
    rows = [[f"`{name}`", *(test_text(one.test(name, other)) for other in others)] for name in one.contenders]
    yield table([["contender", *(f"− {other}" for other in others)], *rows])
    facts, drawn = one.facts, f"{one.facts['rows']:,} test rows"
    drawn = drawn if facts["unit"] == "rows" else f"{facts['users']:,} {facts['unit']} ({drawn})"
    counted = sum(line["counted"] for line in facts["lines"])
    yield (
        f"Mean over {counted} of {len(one.lines)} lines (scenario × task); 95 % interval over seeds and {drawn};"
        f" p Holm-corrected over {facts['tests']} declared tests, bold below {LEVEL}."
    )


def test_text(test: tuple[Comparison, float, float] | None) -> str:
    """Difference with its p, and interval."""
    if test is None:
        return ""
    compared, p, _ = test
    text = f"{points(compared)} (p {p_text(p)})" if compared.tested else points(compared)
    text = f"**{text}**" if p < SIGNIFICANT else text
    return f"{text}<br>{span(compared).replace(' ', _KEPT)}"


def standing(one: DataSet) -> Iterator[str]:
    """Ranks and effect sizes."""
    others = list(one.baselines)
    rows = [["contender", "rank", *(f"d − {other}" for other in others)]]
    for name, facts in one.contenders.items():
        effects = [effect_text(test[2]) if (test := one.test(name, other)) else "" for other in others]
        rows.append([f"`{name}`", f"{facts['rank']:.1f}", *effects])
    yield table(rows)
    ranks = one.facts["ranks"]
    found = Ranking({}, ranks["lines"], ranks["distance"], math.nan if ranks["p"] is None else ranks["p"])
    yield f"{sentence(EFFECT)} {sentence(rank_note(found))}"


def harms(one: DataSet) -> Iterator[str]:
    """Against the reference, and against it with statistics of its own where it is there."""
    references = [name for name in (one.reference, OWN_STATISTICS) if name in one.contenders]
    few = [f"{raw['scenario']} {raw['task']} ({raw['few']})" for raw in one.facts["lines"] if raw["few"]]
    for reference in references:
        rows = [[f"against `{reference}`", "harm", "lines below", "clearly", "lowest end"]]
        for name in one.contenders:
            if gains := one.gains(name, reference):
                found = harm(gains)
                word = "**yes**" if found.clear else "excluded" if found.excluded else "possible"
                rows.append([f"`{name}`", word, *harm_texts(found)])
        yield table(rows)
    said = ["Harm: yes where a line is clearly below; excluded where no interval reaches below −1 point."]
    said.append(sentence(harm_note("the one named")))
    if few:
        said.append(f"Too few rows for a test: {', '.join(few)}.")
    yield " ".join(said)
    if len(one.lines) <= FEW:
        yield table([["gain", *(" ".join(line) for line in one.lines)], *line_gains(one)])
        yield f"Gain over `{one.reference}` by line; bold: p below {LEVEL}, Holm-corrected over the contender's lines."


def line_gains(one: DataSet) -> Iterator[list[str]]:
    for name in one.contenders:
        gains = [(points(gain.compared), gain.p_value < SIGNIFICANT) for gain in one.gains(name, one.reference)]
        if gains:
            yield [f"`{name}`", *(f"**{text}**" if clear else text for text, clear in gains)]


def qualities(one: DataSet) -> Iterator[str]:
    """Mean ± standard deviation over seeds, task by task."""
    for task in dict.fromkeys(task for _, task in one.lines):
        rows = [[f"*{task}*", *SHOWN.values()]]
        for name, facts in one.contenders.items():
            pairs = ((number(value) for value in facts["tasks"][task][key]) for key in SHOWN)
            rows.append([f"`{name}`", *(figures_text(*pair) for pair in pairs)])
        yield table(rows)
    yield (
        "Mean over the task's scenarios ± standard deviation over seeds. GAUC: AUC within a user; calibration:"
        f" probabilities over positives, 1 is right on average. {one.key}.json has normalised entropy and ECE too."
    )


def figures_text(mean: float, sd: float) -> str:
    """Mean ± standard deviation that stay in one line."""
    return spread_text(mean, sd).replace(" ", _KEPT)


def chosen(one: DataSet) -> str:
    """Settings that validation chose; contenders of the same ones in one line."""
    groups: dict[str, list[str]] = {}
    for name, facts in one.contenders.items():
        settings = facts["chosen"]
        text = settings if isinstance(settings, str) else ", ".join(f"{key}={value}" for key, value in settings.items())
        groups.setdefault(text or "nothing to choose", []).append(name)
    return table([["contenders", "settings"], *([listed(names), text] for text, names in groups.items())], 2)


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


def listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
