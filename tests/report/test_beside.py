"""Several runs in one page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from msmtrec.base.errors import UserError
from msmtrec.record.several import read_several
from msmtrec.report.beside import RANKED, render_beside, write_beside
from record.several_runs import make_run
from report.browser import Browser
from report.test_look import FAINT, FIGURES


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("beside")
    return [
        make_run(place / "one", {"local": 0.7, "ours": 0.9}, config={"train": {"rounds": 3}}),
        make_run(place / "two", {"local": 0.7, "ours": 1.4, "<b>": 0.8}, config={"train": {"rounds": 5}}),
    ]


def test_the_page_says_what_it_rests_on(folders: list[Path]) -> None:
    page = write_beside(folders).read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    for part in (
        "2 runs on the same rows of made",
        "over the 2 of 3 lines that all of them count",
        "n = 2 lines (scenario × task), k = 4 columns",  # local has the same scores in both
        ">local · both</text>",
        "= the same scores",
        "train.rounds",
        "&lt;b&gt;",
    ):
        assert part in page, part
    assert "<b>" not in page
    shown = re.findall(r'<span class="up">(\+[\d.]+)</span>', page)
    assert len(shown) == 1  # ours, clearly better in the second run
    assert (folders[0].parent / "side-by-side.html").read_text() == page


def test_of_many_columns_the_best_on_validation_are_ranked(tmp_path: Path) -> None:
    place = [make_run(tmp_path / n, {f"c{k}{n}": 0.5 + k / 100 for k in range(18)}) for n in ("x", "y")]
    page = render_beside(read_several(place))
    assert f"k = {RANKED} columns" in page
    assert "6 columns are left out: those with the lowest validation AUC" in page
    assert ">c0x · x</text>" not in page


def test_one_run_is_not_several_and_a_foreign_file_stays(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least two"):
        write_beside(folders[:1])
    (tmp_path / "mine.html").write_text("mine")
    for out, why in (
        (tmp_path / "mine.html", "is no report; choose another --out"),
        (tmp_path, "is a folder; name a file in it"),
        (tmp_path / "no" / "x.html", "does not exist; create it"),
    ):
        with pytest.raises(UserError, match=why):
            write_beside(folders, out)
    assert (tmp_path / "mine.html").read_text() == "mine"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_drawn_inside_the_page_and_readable(folders: list[Path], tmp_path: Path, width: int, dark: bool) -> None:
    browser = Browser(tmp_path)
    try:
        browser.show(write_beside(folders), width, dark=dark)
        assert browser.trouble == []
        ((figure, parts, *_),) = browser.evaluate(FIGURES)
        assert (figure, parts > 8) == ("ranks", True)
        assert browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert browser.evaluate(FAINT)[1] == []
    finally:
        browser.close()
