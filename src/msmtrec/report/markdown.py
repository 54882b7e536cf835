"""The tables as Markdown, for documents."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from msmtrec.record.results import Cell, Pair, Results
from msmtrec.report.qualities import quality_markdown
from msmtrec.report.standing import standing
from msmtrec.report.words import baseline_titles, correction, drawn, gaps, p_text, points, span


def results_markdown(results: Results) -> str:
    """Test AUC; the difference to the reference by line; the declared tests on the mean; ranks, effect sizes and harm;
    every two contenders; figures beside AUC by task."""
    results = replace(results, lines=tuple((plain(one), plain(two)) for one, two in results.lines))
    contenders = list(results.cells)
    others = [contender for contender in contenders if contender != results.reference]
    parts = [_aucs(results, contenders)]
    if others:
        parts.append(_lines(results, others))
        parts.append(_tests(results, others))
    found = standing(results)
    if found is not None:
        head = [_row(["contender", *found.heads]), _row(["---"] + ["---:"] * len(found.heads))]
        parts.append([*head, *(_row([name, *row]) for name, row in found.rows.items())])
        parts.append([_sentences(found.notes)])
    if results.pairs:
        parts.append(
            [
                _row(["row − column", *contenders]),
                _row(["---"] + ["---:"] * len(contenders)),
                *(_row([one, *(_difference(results.pair(one, two)) for two in contenders)]) for one in contenders),
            ]
        )
    if results.qualities:
        parts.append(quality_markdown(results))
    parts.append(_legend(results))
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def plain(name: str) -> str:
    """A name as Markdown shows it in a table, not as it would read it."""
    return name.replace("|", "\\|").replace("<", "&lt;")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _aucs(results: Results, contenders: list[str]) -> list[str]:
    lines = [_row(["scenario", "task", *contenders]), _row(["---"] * 2 + ["---:"] * len(contenders))]
    if any(results.chosen.values()):
        lines.append(_row(["*chosen*", "", *(f"*{results.chosen[contender]}*" for contender in contenders)]))
    for n, line in enumerate(results.labels):
        cells = [results.cells[contender][n] for contender in contenders]
        best = max((cell.mean for cell in cells if not math.isnan(cell.mean)), default=math.nan)
        lines.append(_row([*line, *(_auc(cell, cell.mean == best) for cell in cells)]))
    return lines


def _lines(results: Results, others: list[str]) -> list[str]:
    head = [_row(["scenario", "task", *others]), _row(["---"] * 2 + ["---:"] * len(others))]
    body = [
        _row([*line, *(_compared(results.cells[contender][n]) for contender in others)])
        for n, line in enumerate(results.labels[:-1])
    ]
    means = [_test(results.pair(contender, results.reference)) for contender in others]
    return [*head, *body, _row([*results.labels[-1], *means])]


def _tests(results: Results, others: list[str]) -> list[str]:
    titles = baseline_titles(results)
    heads = [f"− {name}" + (f" ({what})" if what else "") for name, what in titles.items()]
    return [
        _row(["mean", *heads]),
        _row(["---"] + ["---:"] * len(heads)),
        *(_row([one, *(_test(results.pair(one, name)) for name in titles)]) for one in others),
    ]


def _sentences(said: Iterable[str]) -> str:
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in said)


def _legend(results: Results) -> list[str]:
    said = [_sentences([sentence]) for sentence in gaps(results)]
    if results.pairs:
        tested = (
            f", with one p and one 95 % interval over seeds and {drawn(results)} together; by line not corrected for"
            f" the number of lines. Tests on the mean: p {correction(results)}; bold below it"
        )
        how = tested if results.tests else "; nothing could be tested"
        said.insert(0, f"Differences in AUC points (.01) to {results.reference}{how}.")
    return [" ".join(said)] if said else []


def _auc(cell: Cell, best: bool) -> str:
    if math.isnan(cell.mean):
        return "–"
    text = f"{cell.mean:.4f}" + ("" if math.isnan(cell.sd) else f" ± {cell.sd:.4f}")
    return f"**{text}**" if best else text


def _difference(pair: Pair | None) -> str:
    return "" if pair is None else points(pair.compared)


def _test(pair: Pair | None) -> str:
    if pair is None:
        return ""
    text = points(pair.compared)
    if pair.compared.tested:
        text = f"{text} (p {p_text(pair.p_value)})"
        text = f"**{text}**" if pair.sign else text
    return f"{text}<br>{span(pair.compared)}"


def _compared(cell: Cell) -> str:
    compared = cell.compared
    if compared is None or math.isnan(compared.difference):
        return "–"
    p = f" (p {p_text(compared.p_value)})" if compared.tested else ""
    return f"{points(compared)}{p}<br>{span(compared)}"
