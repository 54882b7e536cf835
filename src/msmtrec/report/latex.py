"""The tables for a paper: LaTeX that needs the package booktabs and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from msmtrec.record.results import SIGNIFICANT, Cell, Results
from msmtrec.record.standing import Gain, effect, gains, ranking
from msmtrec.report.qualities import parts, spread_text
from msmtrec.report.standing import EFFECT, effect_text, rank_note
from msmtrec.report.words import baseline_titles, correction, drawn, gaps, p_text, points, span

WIDE, HIGH, MOST = 4, 40, 120
"""Contenders beside each other, and lines below each other, of one table of lines; lines beyond which there is none:
LaTeX keeps only so many tables back."""
SHOWN = {"auc": "AUC", "gauc": "GAUC", "log_loss": "log loss", "calibration": "calibration"}
_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "[": "{[}",  # after the end of a line it would begin that line's option
    "]": "{]}",
    "*": "{*}",
    "−": "$-$",
    "±": r"$\pm$",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "√": r"$\surd$",
    "Φ": r"$\Phi$",
    "⁻": "$^{-}$",
    "¹": "$^{1}$",
    "†": r"\dag{}",
    "\u00a0": "~",
}
"""Escaped one sign at a time."""


def results_latex(results: Results) -> str:
    """Figures on the mean and task by task; the declared tests, a table for each that the others are tested against;
    test AUC line by line."""
    tables = [*_qualities(results), *_tests(results), *_lines(results)]
    return "% \\usepackage{booktabs}\n" + "\n".join(tables)


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands; what breaks a line or a page becomes a space."""
    found = "".join(_SPECIAL.get(sign, sign if sign.isprintable() else " ") for sign in text)
    return found.replace("--", "-{}-")  # else a dash


def signed(text: str) -> str:
    """Figures, with minus signs."""
    return escaped(text.replace("-", "−"))


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """One floating table; cells are LaTeX. left: how many columns at the left are text."""
    columns = "l" * left + "r" * (len(heads) - left)
    body = [" & ".join(row) + r" \\" for row in (heads, *rows)]
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        body[0],
        r"\midrule",
        *body[1:],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _qualities(results: Results) -> Iterator[str]:
    found = ranking(results)
    for n, (what, contenders) in enumerate(parts(results)):
        ranks = found.ranks if found and n == 0 else {}
        heads = ["contender", *(escaped(title) for title in SHOWN.values()), *(["rank"] if ranks else [])]
        means = {key: [figures[key][0] for figures in contenders.values()] for key in SHOWN}
        best = {key: max((v for v in means[key] if not math.isnan(v)), default=math.nan) for key in ("auc", "gauc")}
        rows = []
        for name, figures in contenders.items():
            cells = [_bold(spread_text(*figures[key]), figures[key][0] == best.get(key)) for key in SHOWN]
            rows.append([escaped(name), *cells, *([f"{ranks[name]:.1f}"] if ranks else [])])
        seeds = len(next(iter(results.cells.values()))[0].auc)
        said = [f"{results.name}, test rows, {what}: mean ± standard deviation over {seeds} seed{'s' * (seeds > 1)}."]
        said += [f"{_sentence(rank_note(found))}"] if found and ranks else []
        yield _table(escaped(" ".join(said)), heads, rows)


def _tests(results: Results) -> Iterator[str]:
    heads = ["contender", "difference", r"95\,\% interval", "$p$", "$d$"]
    for other, what in baseline_titles(results).items() if len(results.cells) > 1 else ():
        rows = []
        for name in results.cells:
            pair = results.pair(name, other)
            if pair is None:
                continue
            cells = [signed(points(pair.compared)), signed(span(pair.compared)), escaped(p_text(pair.p_value))]
            cells[0] = rf"\textbf{{{cells[0]}}}" if pair.sign else cells[0]
            rows.append([escaped(name), *cells, signed(effect_text(effect(results, name, other)))])
        named = f"{other}, {what} on validation" if what else other
        mean = results.mean_of or "scenario × task"
        tested = f"Intervals over seeds and {drawn(results)}; p {correction(results)}, bold below it."
        said = (
            f"{results.name}: differences to {named}, in AUC points (.01), mean over {mean}."
            f" {tested if results.tests else 'Nothing could be tested.'} {_sentence(EFFECT)}"
        )
        yield _table(escaped(said), heads, rows)


def _lines(results: Results) -> Iterator[str]:
    """Blocks of contenders, equally wide, and of lines."""
    names, reference = list(results.cells), results.reference
    if len(results.lines) > MOST:
        yield f"% {len(results.lines) - 1:,} lines are too many for tables of them: msmtrec show RUN --csv has all\n"
        return
    clear = {name: {gain.line: gain for gain in gains(results, name)} for name in names}
    wide = math.ceil(len(names) / math.ceil(len(names) / WIDE))
    for first in range(0, len(names), wide):
        block = names[first : first + wide]
        for top in range(0, len(results.lines), HIGH):
            rows = []
            for n in range(top, min(top + HIGH, len(results.lines))):
                best = max((c.mean for own in results.cells.values() if not math.isnan((c := own[n]).mean)), default=-1)
                cells = [_line(results.cells[name][n], clear[name].get(results.lines[n]), best=best) for name in block]
                rows.append([*(escaped(part) for part in results.labels[n]), *cells])
            said = (
                f"{results.name}: test AUC by line, mean ± standard deviation over seeds, the best of a line in bold."
                f" Arrows: below or above {reference} with p below .05, Holm-corrected over the contender's lines."
            )
            notes = [_sentence(text) for text in gaps(results)] if top == first == 0 else []
            caption = escaped(" ".join([said, *notes]))
            yield _table(caption, ["scenario", "task", *(escaped(name) for name in block)], rows, left=2)


def _line(cell: Cell, gain: Gain | None, *, best: float) -> str:
    text = _bold(spread_text(cell.mean, cell.sd), cell.mean == best)
    if gain is None or not gain.p_value < SIGNIFICANT:
        return text
    return text + (r"$\downarrow$" if gain.below else r"$\uparrow$")


def _bold(text: str, best: bool) -> str:
    mean, sign, sd = (part[1:] if part.startswith("0.") else part for part in text.partition(" ± "))
    return (rf"\textbf{{{mean}}}" if best else escaped(mean)) + escaped(f"{sign}{sd}")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
