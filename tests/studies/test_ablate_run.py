"""`msmtrec ablate`, whole: what it prints and trains, the table, and how it goes on."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

import msmtrec
from called import called
from msmtrec.base.errors import UserError
from msmtrec.base.yaml import read_yaml
from msmtrec.cli.main import main
from msmtrec.evaluation.compare import holm
from msmtrec.record.ablation import validation, variants
from msmtrec.record.events import ContenderStarted, Event
from msmtrec.record.results import Results
from msmtrec.report.ablation import ablation_markdown, ablation_table
from msmtrec.serving.finished import Run
from studies.ablations import config

PAPER = {"method": "pf-msmtrec", "preset": "paper"}
VARIANTS = ["without-template", "without-penalty", "penalty-0.01"]
COLUMNS = ["local", "base", "base+ft", *VARIANTS]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the command, in tiny/runs/a; tiny/a.yaml is its config."""
    folder = tmp_path_factory.mktemp("tiny")
    raw = config({**PAPER, "fine_tune": {"rounds": 1}}, "penalty", "template", "fine_tune", seeds=2)
    raw["data"] = {**raw["data"], "click_rate": 0.4, "conversion_rate": 0.2}
    raw["train"] |= {"learning_rate": 0.01, "local_steps": 6}
    (folder / "a.yaml").write_text(yaml.safe_dump(raw))
    sys.argv = ["msmtrec", "ablate", str(folder / "a.yaml"), "--out", str(folder / "runs" / "a"), "--quiet"]
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    return folder / "runs" / "a"


@pytest.fixture
def results(finished: Path) -> Results:
    return Run(finished).results


def test_it_is_an_ordinary_run_directory_that_knows_what_it_is(finished: Path, results: Results) -> None:
    assert list(results.cells) == COLUMNS
    held = read_yaml(finished / "config.yaml")
    assert held["ablate"] == {
        "of": "base",
        "variants": {"template": VARIANTS[:1], "penalty": VARIANTS[1:], "fine_tune": ["base+ft"]},
    }
    assert list(held["methods"]) == ["local", "base", *VARIANTS]
    assert (finished / "report.html").exists()
    assert {path.name for path in (finished / "contenders").iterdir()} == set(COLUMNS)


def test_the_tests_are_those_of_the_variants(results: Results) -> None:
    tested = [pair for pair in results.pairs if pair.family]
    assert {pair.first if pair.second == "base" else pair.second for pair in tested} == {*VARIANTS, "base+ft"}
    known = [pair for pair in tested if pair.compared.tested]
    assert results.tests == len(known) >= 3
    assert [p.p_value for p in known] == pytest.approx(holm([p.compared.p_value for p in known]))


def test_validation_is_that_of_the_chosen_rounds(finished: Path, results: Results) -> None:
    found = validation(finished, results)
    for name, means in found.items():
        entries = json.loads((finished / "contenders" / name / "validation.json").read_text())
        seeds = [[one["auc"] for one in entries if one["seed"] == seed] for seed in (0, 1)]
        assert means == pytest.approx([np.mean(aucs) for aucs in seeds], abs=2e-6)
    gains = {one.column: one.gain for one in variants(finished, results)}
    assert gains == pytest.approx({name: np.mean(own - found["base"]) for name, own in found.items()})


def test_lines_by_part(finished: Path, results: Results) -> None:
    assert [(one.part, one.column, one.was) for one in variants(finished, results)] == [
        ("", "base", ""),
        ("", "local", ""),
        ("template", "without-template", "true"),
        ("penalty", "without-penalty", "0.001"),
        ("penalty", "penalty-0.01", "0.001"),
        ("fine_tune", "base+ft", ""),
    ]


def test_a_line_without_validation_auc_counts_for_nobody(finished: Path, results: Results, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    rows = list(csv.reader((copy / "results.csv").open()))
    scenario = rows[1][2]
    for row in rows[1:]:
        if row[1:4] == ["local", scenario, "click"] and row[4] == "0":
            row[5] = ""
    with (copy / "results.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    kept = [row for row in rows[1:] if row[1] == "base" and row[4] == "1" and row[2:4] != [scenario, "click"]]
    assert len(kept) == len(results.lines) - 2
    assert validation(copy, results)["base"][1] == pytest.approx(np.mean([float(row[5]) for row in kept]))


@pytest.mark.parametrize("text", ["", "data,contender\nx,y\n", None])
def test_damaged_figures_are_said(finished: Path, results: Results, tmp_path: Path, text: str | None) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    (copy / "results.csv").unlink()
    if text is not None:
        (copy / "results.csv").write_text(text)
    with pytest.raises(UserError, match=r"results.csv is missing or damaged"):
        variants(copy, results)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_at_every_width(finished: Path, results: Results, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(ablation_table(finished, results))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    for words in ("validation", "test", "− base", "0.001"):
        assert words in text
    for cells in results.cells.values():
        assert f"{cells[-1].mean:.4f}"[1:] in text
    assert f"over {results.tests} declared tests" in " ".join(text.split())


def test_show_prints_the_table_and_markdown_all_its_lines(
    finished: Path, results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = called(capsys, "show", str(finished))
    assert code == 0
    assert "base changed in one place" in out
    assert "against base: " in out
    code, out, _ = called(capsys, "show", str(finished), "--markdown")
    assert (code, out) == (0, ablation_markdown(finished, results))
    lines = [line.split(" | ") for line in out.splitlines() if line.startswith("| ")]
    assert [line[1] for line in lines[2:]] == ["base", "local", *VARIANTS, "base+ft"]
    assert [len(line) for line in lines] == [8] * 8
    assert lines[3][6] == ""  # of local: no test
    pair = results.pair("penalty-0.01", "base")
    assert pair is not None
    assert lines[6][5].strip("*") == f"{100 * pair.compared.difference:+.2f}"
    assert lines[6][7].startswith(f"{100 * pair.compared.low:+.2f} … ")
    code, out, _ = called(capsys, "show", str(finished), "--csv")
    assert out == (finished / "results.csv").read_text()


def test_a_dry_run_lists_what_would_be_trained_and_writes_nothing(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = str(finished.parents[1] / "a.yaml")
    words = ("--parts", "statistics, penalty", "--seeds", "4", "--set", "data.users=130", "--set", "data.rows=700")
    code, out, err = called(capsys, "ablate", config, "--dry-run", *words)
    assert (code, err) == (0, "")
    for word in ("penalty-0.01", "options.penalty", "0.001", "statistics-own", "{summed: false}", "base has"):
        assert word in out
    assert out.splitlines()[-1] == (
        "base, local and 4 variants on 4 seeds: 24 trainings of one seed, each of 2 rounds at most"
    )
    code, out, _ = called(
        capsys, "ablate", config, "--dry-run", "--parts", "private_experts", "--set", "model.experts=2"
    )
    assert "left out" in out
    assert "private_experts must be less than experts, 2" in " ".join(out.split())
    assert not list(tmp_path.iterdir())


def test_it_goes_on_and_so_does_train_from_its_own_config(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    before = (copy / "results.json").read_text()
    shutil.rmtree(copy / "contenders" / "penalty-0.01")
    begun: list[str] = []

    def observer(event: Event) -> None:
        if isinstance(event, ContenderStarted) and event.done == 0:
            begun.append(event.title)

    msmtrec.run(copy / "config.yaml", out=copy, resume=True, observer=observer, caution=lambda _: None)
    assert "penalty-0.01" in begun
    assert (copy / "results.json").read_text() == before
    for source in (copy, finished.parents[1] / "a.yaml"):
        code, out, _ = called(capsys, "ablate", str(source), "--out", str(copy), "--resume", "--quiet")
        assert (code, "base changed in one place" in out) == (0, True)
        assert (copy / "results.json").read_text() == before
    code, _, err = called(capsys, "ablate", str(copy), "--out", str(copy), "--resume", "--parts", "penalty", "--quiet")
    assert code == 2
    assert "holds a run of another config (differs in: ablate.variants.fine_tune" in err


def test_what_is_left_out_is_said_and_a_base_that_comes_to_nothing_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw: dict[str, Any] = config(
        {**PAPER, "train": {"learning_rate": 1e30}, "model": {"experts": 2}}, "private_experts"
    )
    raw["methods"]["local"] = None
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(raw))
    code, out, err = called(capsys, "ablate", str(tmp_path / "b.yaml"), "--out", str(tmp_path / "b"))
    assert (code, out) == (2, "")
    assert err.splitlines()[0].startswith("note: private_experts-2 is left out: model: private_experts must be less")
    assert err.splitlines()[-1].startswith("error: base: ")
    assert not (tmp_path / "b" / "results.json").exists()
    (kept,) = read_yaml(tmp_path / "b" / "config.yaml")["ablate"]["left_out"].items()
    assert "note: {} is left out: {}".format(*kept) == err.splitlines()[0]
