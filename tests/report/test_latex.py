"""LaTeX that compiles: balanced, as many cells as columns, names escaped. No TeX is needed to see that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from msmtrec.record.results import MEAN, Results
from msmtrec.report.latex import HIGH, MOST, escaped, results_latex
from record.made_results import compared, made

NAMES = ("local", "fedavg_all & more", "100 %", "$^{x}$", "[best]", "*star*", "back\\slash", "a--b")
VALUES = [(0.6, 0.62), (0.7, 0.7), (0.5, 0.7), (0.8, 0.8)]
TESTS = [compared(-0.05, 0.001), compared(0.0, 1.0), compared(0.1, 0.001), compared(0.1, 0.2), compared(0.04)]


@pytest.fixture
def results() -> Results:
    return made(dict.fromkeys(NAMES, VALUES), dict.fromkeys(NAMES[1:], TESTS))


def depth_is_balanced(text: str) -> bool:
    """Of groups, in text without comments."""
    depth = 0
    for sign in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0


def tables(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """(column letters, rows of cells) of every tabular; a row is what stands between rules and ends."""
    for letters, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        body = re.sub(r"\\(toprule|midrule|bottomrule)\n", "", body)
        lines = body.splitlines()
        assert all(line.endswith(r" \\") for line in lines)
        yield letters, [re.split(r"(?<!\\)&", line.removesuffix(r" \\")) for line in lines]


def test_it_is_balanced_and_every_row_has_as_many_cells_as_columns(results: Results) -> None:
    text = results_latex(results)
    assert text.startswith("% \\usepackage{booktabs}\n")
    assert depth_is_balanced(text.partition("\n")[2])
    opened, closed = (re.findall(rf"\\{end}\{{(\w+)\}}", text) for end in ("begin", "end"))
    assert opened.count("table") == opened.count("tabular") == text.count(r"\caption{")
    assert sorted(opened) == sorted(closed)
    found = list(tables(text))
    assert len(found) == 3 + 1 + 2  # figures on the mean and of two tasks; one reference; eight contenders by four
    for letters, rows in found:
        assert {len(row) for row in rows} == {len(letters)}
    assert not re.search(r"(?<!\\)[#%_~^]", re.sub(r"\$[^$]*\$", "", text.partition("\n")[2].replace(r"\$", "")))


def test_every_contender_and_line_is_there(results: Results) -> None:
    figures, *_, first, second = tables(results_latex(results))
    assert [row[0].strip() for row in figures[1][1:]] == [escaped(name) for name in NAMES]
    assert figures[1][0][-1].strip() == "rank"
    heads = [cell.strip() for cell in [*first[1][0][2:], *second[1][0][2:]]]
    assert heads == [escaped(name) for name in NAMES]
    assert [row[0].strip() for row in first[1][1:]] == ["a", "a", "b", "b", "mean"]


def test_the_arrows_are_corrected_over_the_lines(results: Results) -> None:
    *_, first, _ = tables(results_latex(results))
    below, level, above, unclear, _ = (row[3] for row in first[1][1:])
    assert r"$\downarrow$" in below
    assert r"$\uparrow$" in above
    assert "arrow" not in level + unclear


def test_the_tests_have_difference_interval_p_and_effect(results: Results) -> None:
    *_, (_, rows), _, _ = tables(results_latex(results))
    assert [cell.strip() for cell in rows[1]] == [
        escaped("fedavg_all & more"),
        r"\textbf{+4.00}",
        r"+2.00 \ldots{} +6.00",
        ".030",
        "+.00",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a_b & 5 % #1 $", r"a\_b \& 5 \% \#1 \$"),
        ("{x}\\~^", r"\{x\}\textbackslash{}\textasciitilde{}\textasciicircum{}"),
        ("[a]*", "{[}a{]}{*}"),
        ("a--b-c", "a-{}-b-c"),
        ("<a>\n\t\x07", r"\textless{}a\textgreater{}   "),
        ("−1 ± 2 … Φ⁻¹", r"$-$1 $\pm$ 2 \ldots{} $\Phi$$^{-}$$^{1}$"),
        ("Zürich", "Zürich"),
    ],
)
def test_names_are_printed_as_they_are(name: str, text: str) -> None:
    assert escaped(name) == text
    assert depth_is_balanced(text)


def many(results: Results, count: int) -> Results:
    """With so many lines in place of the first."""
    cells = {name: (own[0],) * count + own[-1:] for name, own in results.cells.items()}
    lines = tuple((f"s{n}", "click") for n in range(count))
    support, counted = results.support[:1] * count, (True,) * count
    return replace(results, lines=(*lines, MEAN), cells=cells, support=support, counted=counted, qualities={})


def test_many_lines_are_several_tables_and_too_many_are_none(results: Results) -> None:
    text = results_latex(many(results, HIGH + 1))
    assert max(len(rows) for _, rows in tables(text)) == 1 + HIGH
    assert "s40 & click" in text
    text = results_latex(many(results, MOST))
    assert "s0 & click" not in text
    assert f"% {MOST} lines are too many for tables of them" in text


def test_where_nothing_is_tested_nothing_is_said_of_intervals() -> None:
    text = results_latex(made({"local": VALUES, "ours": VALUES}, {"ours": [compared(0.0, untested="one seed")] * 5}))
    assert "Nothing could be tested. Effect d:" in text
    assert "Intervals over" not in text
    assert "declared test" not in text
