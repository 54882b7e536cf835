"""Tables for the terminal."""

from __future__ import annotations

import math

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from msmtrec.record.results import SIGNIFICANT, Cell, Results


def results_table(results: Results) -> Table:
    """Rows = scenario × task, columns = methods: mean test AUC ± sd over seeds; the best of a line in bold."""
    seeds = max(len(cell.auc) for cells in results.cells.values() for cell in cells)
    table = Table(
        title=f"{results.name}: test AUC, mean ± sd over {seeds} seed{'s' if seeds > 1 else ''}",
        caption="bold: best of the line; validation chose every model, the test rows were read once",
        title_justify="left",
        caption_justify="left",
        header_style="bold",
    )
    table.add_column("scenario", overflow="fold")
    table.add_column("task", overflow="fold")
    for contender in results.cells:
        table.add_column(contender, justify="right", overflow="fold", min_width=6)
    for n, (scenario, task) in enumerate(results.lines):
        cells = [cells[n] for cells in results.cells.values()]
        best = max((cell.mean for cell in cells if not math.isnan(cell.mean)), default=math.nan)
        if n == len(results.lines) - 1:
            table.add_section()
        table.add_row(escape(scenario), escape(task), *(_cell(cell, cell.mean == best) for cell in cells))
    return table


def _cell(cell: Cell, best: bool) -> Text:
    if math.isnan(cell.mean):
        return Text("–", style="dim")
    text = Text(f"{cell.mean:.4f}".removeprefix("0"), style="bold" if best else "")
    if not math.isnan(cell.sd):
        text.append(f"\n±{cell.sd:.4f}".replace("0.", "."), style="dim")
    return text


def difference_table(results: Results) -> Table:
    """Mean over scenario × task against the reference: points, paired test over seeds, interval over users."""
    table = Table(
        title=f"Difference to {results.reference}, mean over scenario × task, in AUC points (.01)",
        title_justify="left",
        header_style="bold",
    )
    for name in ("method", "points", "p over seeds", "95 % over users", "lines below"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for contender, cells in results.cells.items():
        last = cells[-1]
        if last.seeds is None:
            continue
        below = sum(1 for cell in cells[:-1] if cell.seeds and cell.seeds.mean < 0)
        users = last.users
        span = "–" if users is None or math.isnan(users.low) else f"{100 * users.low:+.2f} … {100 * users.high:+.2f}"
        p = "–" if math.isnan(last.seeds.p_value) else f"{last.seeds.p_value:.3f}"
        table.add_row(contender, f"{100 * last.seeds.mean:+.2f}", p, span, f"{below} of {len(cells) - 1}")
    return table


def pair_sentence(results: Results) -> str | None:
    """Which contenders the best one cannot be told apart from; None without tests."""
    best = max(results.cells, key=lambda contender: results.cells[contender][-1].mean)
    found = {contender: results.pair(best, contender) for contender in results.cells if contender != best}
    if not any(pair and not math.isnan(pair.p_value) for pair in found.values()):
        return None
    level = [contender for contender, pair in found.items() if pair and not pair.p_value < SIGNIFICANT]
    rest = f"not shown to be better than {', '.join(level)}" if level else "better than every other contender"
    return (
        f"highest mean: {best}, {rest} (both tests, Holm-corrected over all pairs of contenders, level {SIGNIFICANT})"
    )
