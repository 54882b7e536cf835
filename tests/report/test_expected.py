"""Figures of others beside a run's own."""

import math
from pathlib import Path
from typing import Any

import pytest

from msmtrec.record.results import Results
from msmtrec.record.summary import REFERENCE, summarise
from msmtrec.report.expected import expected_markdown, expected_table, held
from record.finished import labels_of, write
from report.test_terminal import printed

EXPECTED: dict[str, Any] = {"source": "a README [red]", "tolerance": 0.01}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("expected")
    found = {"local": write(folder / "local", 0.7, 1, {"NL": labels_of(600)}, kind=REFERENCE, valid=0.5)}
    return summarise("t", found, ("click",))


def test_within_beyond_and_not_measured(results: Results) -> None:
    auc = results.cells["local"][0].mean
    figures = {
        "local": {"NL": {"click": auc + 0.009}, "FR": {"click": 0.7}},
        "pooled": {"NL": {"click": 0.7}},
    }
    near, gone, other = held(results, EXPECTED | {"figures": figures})
    assert near.within
    assert near.measured == auc
    assert near.texts[-2:] == ("-0.90", "")
    (far,) = held(results, EXPECTED | {"figures": {"local": {"NL": {"click": auc - 0.011}}}})
    assert not far.within
    assert far.texts[-2:] == ("+1.10", "beyond")
    for lacking in (gone, other):
        assert math.isnan(lacking.measured)
        assert not lacking.within
        assert lacking.texts[-1] == "not measured"


def test_as_it_is_printed(results: Results) -> None:
    expected = EXPECTED | {"figures": {"local": {"NL": {"click": 0.25}}}}
    text = printed(expected_table(results, expected), 100)
    assert "Expected test AUC, ± 0.01" in text
    assert "a README [red]" in " ".join(text.split())
    assert "0.2500" in text
    assert "beyond" in text
    lines = expected_markdown(results, expected).splitlines()
    assert {line.count("|") for line in lines[:3]} == {8}
    assert lines[-1].startswith("Expected, ± 0.01: a README [red].")


def test_a_run_without_any(tmp_path: Path) -> None:
    from msmtrec import run

    data = {"source": "synthetic", "scenarios": 2, "rows": 600}
    config = {"data": data, "train": {"rounds": 1, "local_steps": 1}, "methods": ["local"], "seeds": 1}
    assert run(config, out=tmp_path / "run", caution=lambda _: None).expected is None


def test_they_may_be_said_later(tmp_path: Path) -> None:
    from msmtrec import run

    data = {"source": "synthetic", "scenarios": 2, "rows": 600}
    config = {"data": data, "train": {"rounds": 1, "local_steps": 1}, "methods": ["local"], "seeds": 1}
    first = run(config, out=tmp_path / "run", caution=lambda _: None)
    figures = {"local": {"scenario-0": {"click": 0.7}}}
    later = {**config, "expected": {"source": "a paper", "figures": figures}}
    again = run(later, out=tmp_path / "run", resume=True, caution=lambda _: None)
    assert again.results == first.results
    assert again.expected is not None
    assert again.expected["figures"] == figures
    assert "a paper" in (tmp_path / "run" / "report.html").read_text()
