"""The tests that an ablation declares, from hand-written test files, and what is said of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from msmtrec.evaluation.compare import holm
from msmtrec.record.declared import Ablation
from msmtrec.record.results import Results
from msmtrec.record.summary import REFERENCE, summarise
from msmtrec.report.words import correction, verdicts
from record.finished import labels_of, write

BIG = {"a": labels_of(2000), "b": labels_of(1000)}
ASKED = Ablation("base", {"penalty": ("more", "less"), "lost": ("gone",), "fine_tune": ("base+ft",)})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("table")
    strengths = {"local": 0.7, "base": 1.0, "base+ft": 1.1, "more": 0.9, "less": 1.3}
    found = {
        name: write(folder / name, strength, n, BIG, kind=REFERENCE if name == "local" else "")
        for n, (name, strength) in enumerate(strengths.items())
    }
    return summarise("t", found, ("click",), ablation=ASKED)


def test_the_family_is_the_variants_against_the_base_and_no_other(results: Results) -> None:
    family = {(pair.first, pair.second): pair for pair in results.pairs if pair.family}
    assert set(family) == {("base", "base+ft"), ("base", "more"), ("base", "less")}
    assert results.tests == 3
    assert len(results.pairs) == 10
    corrected = holm([pair.compared.p_value for pair in family.values()])
    assert [pair.p_value for pair in family.values()] == pytest.approx(corrected)
    assert all(math.isnan(pair.p_value) for pair in results.pairs if not pair.family)
    assert correction(results).startswith("Holm-corrected over 3 declared tests")


def test_what_came_to_nothing_is_no_variant(results: Results) -> None:
    assert results.ablation == Ablation("base", {"penalty": ("more", "less"), "fine_tune": ("base+ft",)})
    assert results.ablation.columns == ("more", "less", "base+ft")


def test_the_base_is_the_reference_of_every_line(results: Results) -> None:
    assert (results.reference, results.baselines) == ("base", {"reference": "base"})
    assert all(cell.compared is None for cell in results.cells["base"])
    for name in ("local", "more"):
        for n, cell in enumerate(results.cells[name]):
            assert cell.compared is not None
            assert cell.compared.difference == pytest.approx(cell.mean - results.cells["base"][n].mean)


def test_of_what_is_no_test_nothing_is_said(results: Results) -> None:
    (said,) = verdicts(results)
    assert said == "against base: better: base+ft, less; worse: more"  # local is far below
    assert results.pair("local", "base") is not None


def test_it_is_read_as_it_was_written_and_others_write_none(results: Results, tmp_path: Path) -> None:
    raw = json.loads(json.dumps(results.as_dict()))
    assert raw["ablation"] == {"of": "base", "variants": {"penalty": ["more", "less"], "fine_tune": ["base+ft"]}}
    assert Results.from_dict(raw) == results
    with_more = replace(ASKED, left_out={"most": "too much"})
    again = replace(results, ablation=with_more.among(("more", "base+ft")))
    assert again.as_dict()["ablation"]["left_out"] == {"most": "too much"}
    assert Results.from_dict(json.loads(json.dumps(again.as_dict()))).ablation == again.ablation
    ordinary = summarise("t", {"local": write(tmp_path / "local", 0.7, 1, BIG)}, ("click",))
    assert "ablation" not in ordinary.as_dict()
    assert ordinary.ablation is None
