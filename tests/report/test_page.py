"""The page from a run directory alone."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl

from msmtrec import run
from msmtrec.record.reading import read_run
from msmtrec.record.relations import conflicts, listening
from msmtrec.report.diagnosis import diagnose
from msmtrec.report.page import SAID, write_report
from report.made import frame, journal


class Balanced(HTMLParser):
    """Open elements must be closed in order."""

    void = frozenset({"input", "meta", "br", "path", "use", "image", "rect", "stop", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag


def test_the_page_is_self_contained_and_complete(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert "page &lt;test&gt;" in page
    for part in (
        "Test AUC",
        "What happened",
        "What to do next",
        "by line, in AUC points",
        "The tests: mean",
        "Learning curves",
        "Conflict:",
        "Listening:",
        "Steps, bytes and seconds",
        "Ranks, effect sizes, and who is harmed",
        "Beside AUC",
        "Task by task",
    ):
        assert part in page
    results = read_run(folder).results
    for name in results.cells:
        assert f"<td>{results.quality(name, 'normalised_entropy'):.4f}<small>± " in page
    drawn = re.findall(r'data-figure="([a-z]+)', page)
    assert {kind: drawn.count(kind) for kind in drawn} == {
        "curve": 3 * 2,
        "relation": 3 * 2 + 2,  # conflict and listening for three; two mixtures
        "conflict": 2,
        "cost": 3,
        "reliability": 3 * 2,
        "ranks": 1,
    }
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[0])
    assert set(re.findall(r'data-figure="([^"]*)"', page)) < data["figures"].keys()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []


def test_scenarios_may_be_called_anything(tmp_path: Path) -> None:
    rows = pl.DataFrame({"s": [("US$_%^$", "_x", "<b>")[n % 3] for n in range(900)], "u": [n % 7 for n in range(900)]})
    rows.with_columns(click=pl.Series([n // 2 % 2 for n in range(900)])).write_csv(tmp_path / "logs.csv")
    source = {"source": "tabular", "files": str(tmp_path / "logs.csv"), "scenario": "s", "features": {"u": None}}
    source |= {"tasks": {"click": None}, "split": {"fractions": [0.6, 0.2, 0.2]}}
    config = {"data": source, "train": {"rounds": 1, "local_steps": 1}, "seeds": 1}
    config["methods"] = {"paper": {"method": "pf-msmtrec", "preset": "paper"}}
    page = run(config, out=tmp_path / "run", caution=lambda _: None).folder / "report.html"
    assert "US$_%^$" in page.read_text()
    assert ">_x<" in page.read_text()
    assert "<b>" not in page.read_text().replace("&lt;b&gt;", "")


def test_it_can_be_written_again_from_the_directory_alone(folder: Path) -> None:
    before = (folder / "report.html").read_text()
    write_report(folder)
    assert (folder / "report.html").read_text() == before


def test_listening_rows(folder: Path) -> None:
    record = read_run(folder)
    held_out = listening(record.contenders["recommended"], record.scenarios)
    hyper = listening(record.contenders["paper"], record.scenarios)
    assert held_out is not None
    assert hyper is not None
    assert held_out.shape == (3, 3)
    assert (np.diag(hyper) > 1).all()  # its own update in full, and a share of U
    assert listening(record.contenders["local"], record.scenarios) is None
    cosine = conflicts(record.contenders["paper"], record.scenarios)
    assert cosine is not None
    assert np.allclose(np.diag(cosine), 1)


def test_the_wiped_model_is_diagnosed(folder: Path) -> None:
    sentences = diagnose(read_run(folder))
    assert any(s.startswith("literal: ") and "aggregation" in s for s in sentences)
    assert not any(s.startswith("local: ") and "aggregation" in s for s in sentences)


def test_many_sentences_are_all_there_the_first_ones_open(tmp_path: Path) -> None:
    journal(tmp_path / "contenders/local", ["a"], ["click"], 2, lambda *_: 0.7)
    frame(tmp_path, {"a": 9}, ["click"], {"local": {"": {}}})
    results = json.loads((tmp_path / "results.json").read_text())
    results["notes"] = [f"note {n} <i>" for n in range(SAID + 3)]
    (tmp_path / "results.json").write_text(json.dumps(results))
    page = write_report(tmp_path).read_text()
    before, after = page.split("<summary>3 more</summary>")
    assert [n for n in range(SAID + 3) if f"note {n} &lt;i&gt;" in before] == list(range(SAID))
    assert [n for n in range(SAID + 3) if f"note {n} &lt;i&gt;" in after] == list(range(SAID, SAID + 3))
