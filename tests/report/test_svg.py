"""Names and numbers of a drawing."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from msmtrec.report.svg import polyline, shortened, text, ticks


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.0, 1.0, [0, 0.5, 1]),
        (0.61, 0.69, [0.62, 0.64, 0.66, 0.68]),
        (1, 60, [20, 40, 60]),
        (-3.0, 9.0, [0, 5]),
        (5.0, 5.0, [5.0]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, found: list[float]) -> None:
    assert ticks(low, high, 4) == pytest.approx(found)


def test_ticks_are_never_more_than_asked_for() -> None:
    for n in range(1, 400):
        found = ticks(0.013 * n, 0.013 * n + 7.7 / n, 5)
        assert 1 <= len(found) <= 5


@pytest.mark.parametrize(
    "name", ["a-very-long-name-of-a-scenario", "日本語のとても長いシナリオ", "👩‍👩‍👧‍👦" * 9, "e\u0301" * 40, "🇩🇪" * 12]
)
def test_a_long_name_loses_its_middle_and_no_half_letters(name: str) -> None:
    found = shortened(name, 60)
    head, tail = found.split("…")
    assert name.startswith(head)
    assert name.endswith(tail)
    assert head
    assert cell_len(found) < cell_len(name)
    for part in (head, tail):
        assert not part.startswith(("\u200d", "\u0301"))
        assert not part.endswith("\u200d")
        assert sum("\U0001f1e6" <= c <= "\U0001f1ff" for c in part) % 2 == 0


def test_a_short_name_is_left_alone() -> None:
    assert shortened("scenario-0", 80) == "scenario-0"


def test_text_is_escaped() -> None:
    assert text(1, 2, "<b>&") == '<text x="1" y="2">&lt;b&gt;&amp;</text>'


def test_a_line_without_points_is_nothing() -> None:
    assert polyline([None, None], "line") == ""
