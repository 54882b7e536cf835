"""The page from a run directory alone, opened once in headless Chromium."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from msmtrec import run
from msmtrec.record.reading import read_run
from msmtrec.record.relations import conflicts, listening
from msmtrec.report.diagnosis import diagnose
from msmtrec.report.page import write_report

CONFIG = {
    "name": "page <test>",
    "data": {"source": "synthetic", "scenarios": 3, "rows": 800},
    "train": {"rounds": 4, "local_steps": 8, "batch_size": 64, "learning_rate": 0.01},
    "methods": {
        "local": None,
        "fedavg-all": {"fine_tune": {"rounds": 2}},
        "paper": {"method": "pf-msmtrec", "preset": "paper"},
        "recommended": {"method": "pf-msmtrec"},
        "literal": {"method": "pf-msmtrec", "options": {"normalization": "literal", "personalization": "uniform"}},
    },
    "seeds": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(CONFIG, out=tmp_path_factory.mktemp("page") / "run", caution=lambda _: None).folder


class Balanced(HTMLParser):
    """Open elements must be closed in order."""

    void = frozenset({"meta", "br", "path", "use", "image", "rect", "stop", "link", "img"})

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
        "Difference to local by line",
        "The tests: mean",
        "Learning curves",
        "Conflict:",
        "Listening:",
        "Steps, bytes and seconds",
    ):
        assert part in page
    assert page.count("<svg") == 3 * 2 + 3 * 2 + 2  # curves; conflict and listening for three rows; two mixtures
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
    assert "\u200b_x" in page.read_text()  # matplotlib's legend drops names that begin with an underscore


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


def test_chromium_opens_the_page(folder: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; install the package chromium to open the report in it")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    shot = tmp_path / "page.png"
    done = subprocess.run(
        [browser, *flags, "--window-size=1250,1600", f"--screenshot={shot}", (folder / "report.html").as_uri()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert shot.stat().st_size > 50_000
    dump = subprocess.run(
        [browser, *flags, "--dump-dom", (folder / "report.html").as_uri()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert dump.stdout.count("</svg>") == 14
