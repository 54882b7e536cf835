"""The measured part of docs/performance.md."""

import json
from pathlib import Path

import page
import pytest
from bench import SCRIPTS, main
from results import Result, Results

from places import ROOT

PROSE = f"# Speed\n\nBefore.\n\n{page.BEGIN}\n\nold\n\n{page.END}\n\nAfter.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Figures of two scripts, one of them at cut-down sizes."""
    whole = Results("training", "Training", "Of a step.", quick=False)
    whole.add(Result("fast", 2.0, "x", 3.0, 2.5, 3.5))
    whole.add(Result("slow", 2.0, "x", 1.0, 0.5, 1.5, note="a | b", of="ours"))
    whole.tables.append([["of it", "rows"], ["ours", "1,000"]])
    whole.write(tmp_path)
    cut_down = Results("auc", "AUC", "Of few.", quick=True)
    cut_down.add(Result("little", 1.0, "x", 9.0))
    cut_down.write(tmp_path)
    (tmp_path / "profiles.json").write_text(json.dumps({"training · ours": [["aten::bmm", "44 %", "101"]]}))
    (tmp_path / "page.md").write_text(PROSE)
    return tmp_path


def test_the_page_has_machine_targets_figures_and_profiles(folder: Path) -> None:
    page.main(SCRIPTS, folder, folder / "page.md")
    text = (folder / "page.md").read_text()
    assert text.startswith(f"# Speed\n\nBefore.\n\n{page.BEGIN}\n\n## The machine\n")
    assert text.endswith(f"{page.END}\n\nAfter.\n")
    assert "old" not in text
    assert "2 targets: 1 met, 1 missed." in text
    assert "| Training | fast | **met** | ≥ 2.00x | 3.00x | 2.50 … 3.50 |\n|  | slow | **missed** |" in text
    assert "| slow | ≥ 2.00x | 1.00x | 0.5 … 1.50 | a \\| b |" in text
    assert "| ours | 1,000 |" in text
    assert (
        "**Profile of ours**\n\n| what | of the time | calls |\n| --- | --- | --- |\n| aten::bmm | 44 % | 101 |" in text
    )
    assert "little" not in text  # cut-down sizes say nothing


def test_writing_it_again_changes_nothing(folder: Path) -> None:
    page.main(SCRIPTS, folder, folder / "page.md")
    once = (folder / "page.md").read_text()
    page.main(SCRIPTS, folder, folder / "page.md")
    assert (folder / "page.md").read_text() == once


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        page.replaced("# Speed\n", "new")


def test_the_projects_own_page_has_the_markers_and_every_script_is_there() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert page.replaced(text, "new") != text
    assert [name for name in SCRIPTS if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trainin"]) == 2
    assert capsys.readouterr().err.startswith("no benchmark 'trainin'; there are: training, ")


def test_what_was_not_measured_is_named_and_not_counted(folder: Path) -> None:
    page.main(["training", "cores", "auc"], folder, folder / "page.md")
    assert "**Not measured yet**, and so not counted: `cores`, `auc`." in (folder / "page.md").read_text()
    page.main(["training"], folder, folder / "page.md")
    assert "Not measured yet" not in (folder / "page.md").read_text()
