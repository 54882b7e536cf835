"""The tables of an ablation and of others' figures, on the page and as text, with values worked out by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from msmtrec.record.reading import RunRecord, read_run
from msmtrec.report.ablation import ablation_markdown, ablation_table
from msmtrec.report.page import render
from report.ablated import EXPECTED, LEFT_OUT, ablated
from report.test_page import Balanced
from report.test_terminal import printed

SECTION = r'<section aria-labelledby="{}">.*?</section>\n\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No line of `penalty-1` has a validation AUC, and one variant was left out."""
    return ablated(tmp_path_factory.mktemp("ablated"), LEFT_OUT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a validation AUC everywhere."""
    place = ablated(tmp_path_factory.mktemp("whole"))
    rows = (place / "results.csv").read_text()
    (place / "results.csv").write_text(re.sub(r"(penalty-1,.,click,.),,", r"\1,0.61,", rows))
    (place / "config.yaml").write_text(f"name: made\n{EXPECTED}")
    return place


def rows_of(page: str, section: str) -> list[list[str]]:
    """The table's cells as text, line by line."""
    (found,) = re.findall(SECTION.format(section), page, re.DOTALL)
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", found, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    return [[unescape(re.sub(r"<[^>]*>", " ", cell)).strip() for cell in line] for line in cells]


def numbers(page: str) -> dict[str, Any]:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    found: dict[str, Any] = json.loads(data)["figures"]
    return found


def test_every_variant_by_part(whole: Path) -> None:
    page = render(read_run(whole))
    assert [[" ".join(cell.split()) for cell in row] for row in rows_of(page, "ablation")] == [
        ["contender", "validation AUC", "− base", "test AUC", "− base"],
        ["base", "0.6600 ± 0.0141", "", "0.6500 ± 0.0141", ""],
        ["local", "0.5500 ± 0.0000", "-11.00", "0.6000 ± 0.0141", "-5.00 -7.00 … -2.00"],
        ["template (true)"],
        ["<plain>", "0.6750 ± 0.0141", "+1.50", "0.6700 ± 0.0141", "+2.00 p .012 +0.00 … +5.00"],
        ["penalty (0.001)"],
        ["penalty-0", "0.6100 ± 0.0141", "-5.00", "0.6400 ± 0.0141", "-1.00 p .300 -3.00 … +2.00"],
        ["penalty-1", "0.6100 ± 0.0000", "-5.00", "0.6500 ± 0.0141", "+0.00 p .900 -2.00 … +3.00"],
    ]
    (section,) = re.findall(SECTION.format("ablation"), page, re.DOTALL)
    assert re.findall(r'<td class="(up|down)">(\S+)', section) == [("up", "+2.00")]  # of local no test is declared
    assert page.count('<a href="#ablation">') == 1
    assert "Declared before the run: every variant against base." in page
    for sentence in ("mean and standard deviation over 2 seeds", "choose by the validation columns"):
        assert f"<li>{sentence}" in page
    assert "Left out" not in page


def test_the_numbers_behind_it(whole: Path) -> None:
    found = numbers(render(read_run(whole)))["ablation"]
    base, local, plain, *_ = (dict(zip(found["columns"], row, strict=True)) for row in found["rows"])
    assert base | {"validation sd": 0, "test sd": 0} == {
        **{"part": "", "contender": "base", "changed from": "", "validation": 0.66, "validation sd": 0},
        **{"validation difference": None, "test": 0.65, "test sd": 0, "difference": None, "low": None, "high": None},
        **{"p": None, "untested": ""},
    }
    assert (local["difference"], local["p"]) == (-0.05, None)
    assert (plain["part"], plain["changed from"]) == ("template", "true")
    assert [plain[key] for key in ("validation difference", "difference", "p")] == pytest.approx([0.015, 0.02, 0.012])


def test_a_variant_without_validation_auc_and_what_was_left_out(place: Path) -> None:
    page = render(read_run(place))
    rows = rows_of(page, "ablation")
    assert [row[1].split()[0] for row in rows[1:] if len(row) > 1] == ["–"] * 5  # no line that all have
    assert "<li><bdi>penalty-[red]</bdi>: penalty must be &lt;i&gt;small&lt;/i&gt;</li>" in page
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    results = read_run(place).results
    said = "ot trained: penalty-[red] (penalty must be <i>small</i>)"
    assert f"n{said}" in " ".join(printed(ablation_table(place, results), 120).split())
    assert f" N{said}." in ablation_markdown(place, results)


def test_figures_of_others(whole: Path) -> None:
    page = render(read_run(whole))
    assert [[" ".join(cell.split()) for cell in row] for row in rows_of(page, "expected")] == [
        ["contender", "scenario task", "expected", "measured", "apart"],
        ["base", "a click", "0.6900", "0.7000", "+1.00"],
        ["base", "b click", "0.7500", "0.7200", "-3.00 beyond"],
        ["gone", "a click", "0.5000", "–", "– not measured"],
    ]
    assert "Expected test AUC, ± 0.02: a &lt;b&gt;paper&lt;/b&gt;." in page
    assert page.count('<a href="#expected">') == 1
    assert numbers(page)["expected"]["rows"][1:] == [
        ["base", "b", "click", 0.75, 0.72, -0.03, "beyond"],
        ["gone", "a", "click", 0.5, None, None, "not measured"],
    ]


def test_a_page_without_them_is_the_same_but_for_them(whole: Path) -> None:
    """Whatever else a run of theirs has: nothing else of the page knows of the two, no script, no style, no space."""
    run = read_run(whole)
    page = render(run)
    for key in ("ablation", "expected"):
        page, cut = re.subn(SECTION.format(key), "", page, flags=re.DOTALL)
        assert cut == 1
        page, cut = re.subn(rf'<a href="#{key}">\w+</a>', "", page)
        assert cut == 1
        page, cut = re.subn(rf'"{key}":{{"title":"{key}".*?]]}},', "", page)
        assert cut == 1
    usual = "contender against base, the best reference and the best pooled contender, both named on validation"
    page = page.replace("every variant against base.", f"every {usual}.")
    plain: RunRecord = replace(run, results=replace(run.results, ablation=None), ablation=(), expected=None)
    assert render(plain).replace(": too much sharing for it", "") == page  # "Worth a look" of a variant says less
