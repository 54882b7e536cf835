"""Heat maps, bars, spreads and ranks: what is drawn, and the numbers behind it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from msmtrec.record.reading import read_run
from msmtrec.report.bars import bars
from msmtrec.report.figure import Figure, colour, embedded
from msmtrec.report.heat import heat_map, shade
from msmtrec.report.ranks import rank_figure
from msmtrec.report.spread import spreads
from report.made import frame, journal

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "signed", "kind"),
    [
        (1.0, True, "p6"),
        (-1.0, True, "n6"),
        (0.0, True, "z"),
        (0.02, True, "z"),
        (-0.5, True, "n3"),
        (9.0, False, "p6"),
    ],
)
def test_shades(value: float, signed: bool, kind: str) -> None:
    assert shade(value, 1.0, signed) == kind


def test_a_cell_without_a_value_has_no_shade() -> None:
    assert shade(NAN, 1.0, True) == "none"
    assert shade(0.5, 0.0, False) == "z"


def test_a_heat_map_names_columns_where_they_fit_and_numbers_them_where_not() -> None:
    matrix = np.array([[1.0, -0.001], [NAN, 1.0]])
    figure = heat_map("h", "t", matrix, ["a", "b"], most=1, signed=True)
    assert figure.svg.count(">a</text>") == figure.svg.count(">b</text>") == 2
    assert ">0.00</text>" in figure.svg  # not -0.00
    assert [list(row)[:2] for row in figure.rows] == [["a", "a"], ["a", "b"], ["b", "a"], ["b", "b"]]
    long = heat_map("h", "t", np.eye(9), [f"scenario-{n}" for n in range(9)], most=1, signed=True)
    assert long.svg.count(">scenario-3</text>") == 1
    assert long.svg.count(">4</text>") == 2
    assert long.svg.count("<rect") == 81
    assert ">1.00<" not in long.svg


def test_bars_have_their_parts_in_order_and_their_sum_in_words() -> None:
    figure = bars("b", "t", [("one", {"x": 1.0, "y": 2.0}), ("two", {"y": 1.5})], ["x", "y"], unit="kB")
    assert [list(row) for row in figure.rows] == [["one", "x", 1.0], ["one", "y", 2.0], ["two", "y", 1.5]]
    assert figure.svg.count("<rect") == 3
    assert "3.0 kB" in figure.svg
    assert 'width="360"' not in figure.svg
    assert 'width="240" height="12" class="m part c1"' in figure.svg


def test_json_in_a_page_cannot_end_its_element() -> None:
    text = embedded({"</script>": ["<!--", "a&b", "\u2028", NAN, np.float64(1 / 3), np.int64(2), True, None]})
    assert "<" not in text
    assert "&" not in text
    assert json.loads(text) == {"</script>": ["<!--", "a&b", "\u2028", None, 0.333333, 2, True, None]}


def test_a_figure_of_lines_says_where_its_rows_are() -> None:
    figure = Figure("k", "t", "", ["round", "a"], rows=[[1, 0.5]], at=[40.04], kinds={"a": "c0"})
    assert figure.as_dict() == {
        "title": "t", "columns": ["round", "a"], "rows": [[1, 0.5]], "at": [40.0], "kinds": {"a": "c0"}
    }  # fmt: skip
    assert [colour(n) for n in (0, 8, 9, 27)] == ["c0 d0", "c8 d0", "c0 d1", "c0 d0"]


def test_the_gains_of_many_scenarios_are_spread(tmp_path: Path) -> None:
    names = [f"s{n}" for n in range(13)]
    for contender in ("local", "one"):
        journal(tmp_path / "contenders" / contender, names, ["click", "buy"], 2, lambda *_: 0.7)
    frame(tmp_path, dict.fromkeys(names, 9), ["click", "buy"], {c: {"": {}} for c in ("local", "one")})
    found = spreads(read_run(tmp_path))
    assert [figure.title for figure in found] == [
        "click: gain of 13 scenarios over local",
        "buy: gain of 13 scenarios over local",
    ]
    assert [list(row) for row in found[0].rows] == [["one", 0, 0, 0, 0, 0, 0, 13]]


def test_few_scenarios_need_no_spread(tmp_path: Path) -> None:
    journal(tmp_path / "contenders/local", ["a"], ["click"], 2, lambda *_: 0.7)
    frame(tmp_path, {"a": 9}, ["click"], {"local": {"": {}}})
    assert spreads(read_run(tmp_path)) == []


def test_ranks_are_listed_from_the_best_with_n_and_k() -> None:
    random = np.random.default_rng(0)
    values = np.column_stack([random.uniform(0.6, 0.7, 40) + gain for gain in (0.0, 0.2, 0.001)])
    figure = rank_figure("r", ["low", "high", "middle"], values)
    assert figure is not None
    assert figure.rows[0][0] == "high"
    assert "n = 40 lines (scenario × task), k = 3 columns" in figure.caption
    assert "independent, and they are not" in figure.caption
    assert figure.svg.count('class="clique"') == 2  # the distance above, and low with middle
    assert rank_figure("r", ["one"], values[:, :1]) is None
    assert rank_figure("r", ["one", "two"], values[:0, :2]) is None
