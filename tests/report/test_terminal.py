"""The tables at the widths that terminals have: no column is dropped, no header broken."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from msmtrec.record.results import Results
from msmtrec.record.summary import POOLED, REFERENCE, summarise
from msmtrec.report.markdown import results_markdown
from msmtrec.report.terminal import difference_table, results_table
from record.finished import labels_of, write
from record.made_results import compared, made

KINDS = {
    **dict.fromkeys(("local", "local+ft", "emb-only", "fedavg", "fedavg-all", "fedavg-all+ft"), REFERENCE),
    "recommended": "",
    "pooled": POOLED,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("terminal")
    labels = {"scenario-0": labels_of(600), "25 and over": labels_of(400), "thin": labels_of(300, 4)}
    found = {
        name: write(folder / name, 0.7 + 0.1 * n, n, labels, kind=kind, valid=0.5 + n / 100)
        for n, (name, kind) in enumerate(KINDS.items())
    }
    return summarise("t", found, ("click",))


def printed(table: object, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(len(line) for line in text.splitlines()) <= width
    return str(text)


def headers(text: str) -> list[str]:
    return [cell.strip() for line in text.splitlines() if line.startswith("┃") for cell in line.strip("┃").split("┃")]


def test_a_name_is_no_markup_of_the_table(results: Results) -> None:
    odd = replace(results, lines=(("a|b <i>", "click"), *results.lines[1:]))
    lines = results_markdown(odd).splitlines()
    line = next(line for line in lines if "a\\|b" in line)
    assert line.startswith("| a\\|b &lt;i> | click |")
    assert line.replace("\\|", "").count("|") == lines[0].count("|")


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_every_contender_is_there_whole_and_once(results: Results, width: int) -> None:
    text = printed(results_table(results), width)
    found = [name for name in headers(text) if name not in ("scenario", "task", "")]
    assert found == list(KINDS)
    assert text.count("mean") == len(re.findall("┏", text)) + text.count("AUC, mean ±") + text.count("the mean counts")
    for cells in results.cells.values():
        assert f"{cells[0].mean:.4f}"[1:] in text


@pytest.mark.parametrize("width", [80, 100])
def test_every_test_is_there_whole(results: Results, width: int) -> None:
    text = printed(difference_table(results), width)
    found = [name for name in headers(text) if name not in ("contender", "")]
    assert found == ["− local", "− fedavg-all+ft", "− pooled", "below"]
    squeezed = " ".join(text.split())
    assert "95 % interval over seeds and 600 users (1,000 test rows)" in squeezed
    assert "Holm-corrected over 18 declared tests" in squeezed
    assert "fedavg-all+ft: best reference on validation" in squeezed
    for contender in KINDS:
        assert contender in text


def test_a_mean_of_fewer_lines_says_so_everywhere(results: Results) -> None:
    table = " ".join(printed(results_table(results), 100).split())
    assert "│ mean │ 2 of 3 lines │" in table
    assert "thin │ click †" in table
    assert "(4 positives)" in table
    assert "mean of 2 of 3 lines" in printed(difference_table(results), 100)
    markdown = results_markdown(results)
    assert markdown.count("| mean | 2 of 3 lines |") == 2
    assert "The mean counts 2 of 3 lines" in markdown
    assert "| thin | click † |" in markdown


def test_markdown_has_one_p_a_line_and_the_corrected_one_for_the_mean(results: Results) -> None:
    parts = results_markdown(results).split("\n\n")
    assert parts[1].splitlines()[0].startswith("| scenario | task | local+ft |")
    assert "too few: 4 positives" in parts[1]
    pair = results.pair("recommended", "local")
    assert pair is not None
    assert pair.sign == "up"
    assert parts[1].splitlines()[-1].count("**+") == sum(p.sign == "down" for p in results.pairs if p.first == "local")
    assert parts[2].splitlines()[0] == (
        "| mean | − local | − fedavg-all+ft (best reference) | − pooled (best pooled) |"
    )
    head, _, *rows = parts[3].splitlines()
    assert head == (
        "| contender | rank | d − local | d − fedavg-all+ft | d − pooled | below local | clearly | lowest end |"
    )
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(results.cells)
    assert "Rank: average over 2 lines, 1 is the best; ranks closer than 7.4 (Nemenyi, .05)" in parts[4]
    assert "(p" not in parts[5]  # every two contenders: not tested
    head, _, *rows = parts[6].splitlines()
    assert head == "| of | contender | AUC | GAUC | log loss | norm. entropy | calibration | ECE |"
    assert [row.split(" | ")[1] for row in rows] == list(results.cells)  # one task: the mean is all there is
    assert rows[0].startswith("| 2 of 3 lines | local | 0.")
    assert "over 18 declared tests" in parts[7]


def test_rows_are_called_rows_where_there_are_no_users(results: Results, tmp_path: Path) -> None:
    labels = {"a": labels_of(600), "thin": labels_of(300, 4)}
    found = {n: write(tmp_path / n, s, k, labels) for n, s, k in (("local", 0.7, 1), ("ours", 1.2, 2))}
    markdown = results_markdown(summarise("t", found, ("click",), unit="rows"))
    assert "over seeds and 600 test rows together" in markdown
    assert "10 negative test rows: thin click (4 positives)" in markdown
    assert "users" not in markdown


def test_of_one_seed_nothing_is_said_of_intervals() -> None:
    values = [(0.6, 0.7)] * 4
    legend = results_markdown(
        made({"local": values, "ours": values}, {"ours": [compared(0.0, untested="one seed")] * 5})
    )
    assert "Differences in AUC points (.01) to local; nothing could be tested." in legend
    assert "interval over" not in legend
