"""Tables for the terminal."""

from __future__ import annotations

import math

from rich.text import Text

from msmtrec.record.results import Cell, Pair, Results
from msmtrec.report.blocks import Blocks
from msmtrec.report.words import baseline_titles, correction, drawn, gaps, p_text, points, span

_STYLES = {"up": "green", "down": "red", "": ""}


def results_table(results: Results) -> Blocks:
    """Lines = scenario × task, columns = contenders: mean test AUC ± sd over seeds; the best of a line in bold."""
    seeds = max(len(cell.auc) for cells in results.cells.values() for cell in cells)
    best = [
        max((cells[n].mean for cells in results.cells.values() if not math.isnan(cells[n].mean)), default=math.nan)
        for n in range(len(results.lines))
    ]
    caption = "bold: best of the line; validation chose every model, the test rows were read once"
    return Blocks(
        f"{results.name}: test AUC, mean ± sd over {seeds} seed{'s' if seeds > 1 else ''}",
        "\n".join([caption, *gaps(results)]),
        {
            "scenario": [scenario for scenario, _ in results.labels],
            "task": [task for _, task in results.labels],
        },
        [
            (contender, [_cell(cell, cell.mean == high) for cell, high in zip(cells, best, strict=True)])
            for contender, cells in results.cells.items()
        ],
    )


def _cell(cell: Cell, best: bool) -> Text:
    if math.isnan(cell.mean):
        return Text("–", style="dim")
    text = Text(f"{cell.mean:.4f}".removeprefix("0"), style="bold" if best else "")
    if not math.isnan(cell.sd):
        text.append(f"\n±{cell.sd:.4f}".replace("0.", "."), style="dim")
    return text


def difference_table(results: Results) -> Blocks:
    """The declared tests on the mean line: every contender against the reference, best reference and best pooled."""
    names = [name for name in results.cells if name != results.reference]
    titles = baseline_titles(results)
    columns = [(f"− {name}", [_pair(results.pair(contender, name)) for contender in names]) for name in titles]
    below = [f"{_below(results.cells[name])} of {len(results.lines) - 1}" for name in names]
    columns.append(("below", [Text(text) for text in below]))
    named = [f"{name}: {what} on validation" for name, what in titles.items() if what]
    mean = f"mean of {results.mean_of}" if results.mean_of else "mean over scenario × task"
    caption = [
        f"95 % interval over seeds and {drawn(results)}",
        f"p {correction(results)}; intervals are not",
        *named,
        f"below: lines below {results.reference}",
    ]
    return Blocks(
        f"Row − column, {mean}, in AUC points (.01)",
        "\n".join(caption) if results.tests else "nothing could be tested",
        {"contender": names},
        columns,
        last_apart=False,
    )


def _below(cells: tuple[Cell, ...]) -> int:
    return sum(cell.mean_difference < 0 for cell in cells[:-1])


def _pair(pair: Pair | None) -> Text:
    if pair is None:
        return Text("")
    text = Text(points(pair.compared), style=_STYLES[pair.sign])
    if pair.compared.tested:
        text.append(f" p {p_text(pair.p_value)}", style="dim" if not pair.sign else "")
    text.append(f"\n{span(pair.compared)}", style="dim")
    return text
