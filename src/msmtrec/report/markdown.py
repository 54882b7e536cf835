"""The tables as Markdown, for documents."""

from __future__ import annotations

import math

from msmtrec.record.results import SIGNIFICANT, Cell, Pair, Results


def results_markdown(results: Results) -> str:
    """Test AUC; the difference to the reference with both tests, by line; every two contenders on the mean."""
    contenders = list(results.cells)
    others = [contender for contender in contenders if contender != results.reference]
    lines = [_row(["scenario", "task", *contenders]), _row(["---"] * 2 + ["---:"] * len(contenders))]
    if any(results.chosen.values()):
        lines.append(_row(["*chosen*", "", *(f"*{results.chosen[contender]}*" for contender in contenders)]))
    for n, line in enumerate(results.lines):
        cells = [results.cells[contender][n] for contender in contenders]
        best = max((cell.mean for cell in cells if not math.isnan(cell.mean)), default=math.nan)
        lines.append(_row([*line, *(_auc(cell, cell.mean == best) for cell in cells)]))
    if others:
        lines += ["", _row(["scenario", "task", *others]), _row(["---"] * 2 + ["---:"] * len(others))]
        for n, line in enumerate(results.lines):
            lines.append(_row([*line, *(_difference(results.cells[contender][n]) for contender in others)]))
    if results.pairs:
        lines += ["", _row(["row − column", *contenders]), _row(["---"] + ["---:"] * len(contenders))]
        lines += [_row([one, *(_pair(results.pair(one, two)) for two in contenders)]) for one in contenders]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _auc(cell: Cell, best: bool) -> str:
    if math.isnan(cell.mean):
        return "–"
    text = f"{cell.mean:.4f}" + ("" if math.isnan(cell.sd) else f" ± {cell.sd:.4f}")
    return f"**{text}**" if best else text


def _pair(pair: Pair | None) -> str:
    if pair is None:
        return ""
    text = f"{100 * pair.seeds.mean:+.2f}"
    if math.isnan(pair.p_value):
        return text
    return f"**{text}** ({pair.p_value:.3f})" if pair.p_value < SIGNIFICANT else f"{text} ({pair.p_value:.3f})"


def _difference(cell: Cell) -> str:
    if cell.seeds is None or math.isnan(cell.seeds.mean):
        return "–"
    text = f"{100 * cell.seeds.mean:+.2f}"
    if not math.isnan(cell.seeds.p_value):
        text += f" (p {cell.seeds.p_value:.3f})"
    if cell.users is not None and not math.isnan(cell.users.low):
        text += f"<br>{100 * cell.users.low:+.2f} … {100 * cell.users.high:+.2f}"
    return text
