"""The table of an ablation, for the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.text import Text

from msmtrec.record.ablation import Array, Variant, variants
from msmtrec.record.results import Results
from msmtrec.report.blocks import Blocks
from msmtrec.report.words import correction, drawn, gaps, p_text, points, span

_STYLES = {"up": "green", "down": "red", "": ""}
_CHOOSE = "choose by the validation columns: test rows were read once, to report"


def ablation_table(folder: Path, results: Results) -> Blocks:
    """Lines = what is compared, by part; columns = validation and test AUC, and their differences to the reference."""
    found = variants(folder, results)
    return Blocks(
        f"{results.name}: {results.reference} changed in one place, AUC, mean ± sd over {seeds(found)}",
        escape("\n".join(_caption(results))),
        {"part": parts(found), "contender": [one.column for one in found]},
        [
            ("validation", [Text(_auc(one.validation, "\n")) for one in found]),
            (f"− {results.reference}", [Text(gain(one)) for one in found]),
            ("test", [Text(_auc(np.array(one.test.auc, float), "\n")) for one in found]),
            (f"− {results.reference}", [_difference(one) for one in found]),
        ],
        last_apart=False,
    )


def ablation_markdown(folder: Path, results: Results) -> str:
    """The same as Markdown."""
    found = variants(folder, results)
    minus = f"− {results.reference}"
    head = ["part", "contender", "validation", minus, "test", minus, "p", "95 % interval"]
    rows = [head, ["---", "---", *["---:"] * 6]]
    for part, one in zip(parts(found), found, strict=True):
        compared = one.compared.compared if one.compared else None
        difference = points(compared) if compared else ""
        rows.append(
            [
                part,
                one.column,
                _auc(one.validation, " "),
                gain(one),
                _auc(np.array(one.test.auc, float), " "),
                f"**{difference}**" if one.compared and one.compared.sign else difference,
                p_text(one.compared.p_value) if one.compared and one.compared.family else "",
                span(compared) if compared else "",
            ]
        )
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    said = [f"Mean ± sd over {seeds(found)}", *_caption(results)]
    legend = " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in said)
    return f"{text}\n\n{legend}\n"


def notes(results: Results) -> list[str]:
    """How to read the table, a sentence each."""
    mean = f"the mean of {results.mean_of}" if results.mean_of else "the mean over scenario × task"
    return [
        f"differences on {mean}, in AUC points (.01); in brackets what {results.reference} has",
        f"95 % interval over seeds and {drawn(results)}",
        (
            f"tests of variants against {results.reference}: p {correction(results)}; intervals are not"
            if results.tests
            else "nothing could be tested"
        ),
        _CHOOSE,
    ]


def _caption(results: Results) -> list[str]:
    missing = results.ablation.left_out.items() if results.ablation else ()
    return [*notes(results), *gaps(results), *(f"not trained: {name} ({why})" for name, why in missing)]


def parts(found: Sequence[Variant]) -> list[str]:
    """The part's name where its lines begin, with what the reference has."""
    names, last = [], ""
    for one in found:
        was = next((other.was for other in found if other.part == one.part and other.was), "")
        names.append("" if one.part == last else f"{one.part} ({was})" if was else one.part)
        last = one.part
    return names


def seeds(found: Sequence[Variant]) -> str:
    """How many."""
    number = len(found[0].validation)
    return f"{number} seed{'s' * (number != 1)}"


def _auc(values: Array, between: str) -> str:
    mean = float(values.mean())
    if math.isnan(mean):
        return "–"
    sd = f"{between}± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
    return f"{mean:.4f}{sd}".replace("0.", ".")


def gain(one: Variant) -> str:
    """On validation, in AUC points of .01; empty for the reference itself."""
    if one.compared is None:
        return ""
    return "–" if math.isnan(one.gain) else f"{100 * one.gain:+.2f}"


def _difference(one: Variant) -> Text:
    pair = one.compared
    if pair is None:
        return Text("")
    text = Text(points(pair.compared), style=_STYLES[pair.sign])
    if pair.family and pair.compared.tested:
        text.append(f" p {p_text(pair.p_value)}", style="" if pair.sign else "dim")
    text.append(f"\n{span(pair.compared)}", style="dim")
    return text
