"""docs/results.md from committed figures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import results_page
from results_read import REQUIRED, read, read_all

from msmtrec.base.errors import UserError
from msmtrec.record.results import Results
from msmtrec.record.standing import gains
from msmtrec.record.standing import harm as counted_harm
from msmtrec.studies.digest import digest, text_of
from places import ROOT
from studies.finished_run import KINDS, finished_benchmark, mean_auc, write_figures


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Results, str]]:
    """Name of the files -> the table of a benchmark, and its summary."""
    found = {}
    for key, strongest in (("one", 5), ("two", 4)):
        folder = tmp_path_factory.mktemp(key)
        table = finished_benchmark(folder, f"Toy {key}", strongest)
        found[key] = (table, text_of(digest(folder, table)))
    return found


@pytest.fixture
def folder(results: dict[str, tuple[Results, str]], tmp_path: Path) -> Path:
    """As docs/results/ is."""
    place = tmp_path / "results"
    place.mkdir()
    for key, (table, summary) in results.items():
        write_figures(place / f"{key}.csv", table)
        (place / f"{key}.json").write_text(summary)
    return place


def changed(path: Path, change: Any) -> None:
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def part(text: str, head: str) -> str:
    """What stands below a heading, up to the next of any rank."""
    return text.partition(f"{head}\n")[2].partition("\n#")[0]


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_the_committed_page_is_what_the_command_writes_from_the_committed_files() -> None:
    assert results_page.written(ROOT / "docs" / "results") == (ROOT / "docs" / "results.md").read_text(), (
        "write it again: make results-page"
    )


def test_every_committed_data_set_has_the_contenders_that_a_reader_needs() -> None:
    """`read_all` refuses others; `earlier/` is kept as it was."""
    for one in read_all(ROOT / "docs" / "results"):
        assert set(REQUIRED) <= one.seeds.keys() & one.contenders.keys()


def test_all_data_sets_stand_in_one_table(folder: Path, results: dict[str, tuple[Results, str]]) -> None:
    text = results_page.written(folder)
    head, _, *body = rows(part(text, "## All data sets"))
    assert head == ["contender", "Toy one", "Toy two", "rank"]
    assert [row[0] for row in body] == [f"`{name}`" for name in KINDS]
    for n, (table, _) in enumerate(results.values()):
        means = {name: mean_auc(table, name) for name in KINDS}
        best = max(means, key=lambda name: means[name])
        assert best == list(KINDS)[5 - n]
        for row, name in zip(body, KINDS, strict=True):
            assert f"{means[name]:.4f}\u00a0± " in row[1 + n].replace("±\u00a0", "± ")
            assert row[1 + n].startswith("**") == (name == best)
    ranks = {row[0].strip("`"): row[-1] for row in body}
    assert (ranks["pooled"], ranks["ours"], ranks["bias"]) == ("1.5", "1.5", "6.0")
    assert "Rank: average over 2 data sets of the mean AUC, 1 is the best; ranks closer than 5.3 " in text
    assert "<br>" not in body[1][1] + body[1][2]  # local itself
    gain = means["ours"] - means["local"]  # of the second
    assert body[5][2].endswith(f"<br>{100 * gain:+.2f}\\*")


def test_one_data_set_has_no_ranks_over_data_sets(folder: Path) -> None:
    for name in ("two.csv", "two.json"):
        (folder / name).unlink()
    text = results_page.written(folder)
    assert rows(part(text, "## All data sets"))[0] == ["contender", "Toy one"]
    assert "over 2 data sets" not in text


def test_a_data_set_has_its_tests_harm_figures_and_choices(
    folder: Path, results: dict[str, tuple[Results, str]]
) -> None:
    (folder / "one.md").write_text("What **we** read in it.\n")
    text = results_page.written(folder)
    one = text.partition("## Toy one\n")[2].partition("\n## ")[0]
    assert one.count("What **we** read in it.") == text.count("What **we** read in it.") == 1
    assert "3 scenarios, 1 task, 3 seeds. Candidates of each contender: 2, on 1 other seed, in 2 rungs." in one
    assert "Commit 000000000000, torch 2.8, cpu, 2 cores. `make results DATA=one`" in one
    table = results["one"][0]
    pair = table.pair("ours", "local")
    assert pair is not None
    tests = rows(part(one, "### The declared tests"))
    assert tests[0] == ["contender", "− local", "− fedavg", "− pooled"]
    assert tests[-1][0] == "`ours`"
    assert tests[-1][1].startswith(f"**{100 * pair.compared.difference:+.2f} (p <.001)**<br>")
    assert "- Against `local`: better: `" in one
    assert "- Against `fedavg` (best reference on validation): better: " in one
    assert f"over {table.tests} declared tests" in one
    assert "Mean over 2 of 3 lines" in one
    harm = part(one, "### Is a scenario harmed?")
    assert harm.count("against `local") == 2
    assert rows(harm)[0] == ["against `local`", "harm", "lines below", "clearly", "lowest end"]
    found = {name: counted_harm(gains(table, name)) for name in list(KINDS) if name != "local"}
    words = {
        name: "**yes**" if one.clear else "excluded" if one.excluded else "possible" for name, one in found.items()
    }
    assert set(words.values()) == {"**yes**", "excluded", "possible"}
    against_local = {row[0].strip("`"): row for row in rows(harm)[2 : 2 + len(found)]}
    assert {name: row[1] for name, row in against_local.items()} == words
    assert against_local["ours"][2:4] == ["0 of 3", "none"]
    assert "Too few rows for a test: thin click (4 positives)." in harm
    assert ["gain", "a click", "b, c click", "thin click"] in rows(harm)
    assert rows(part(one, "### What was chosen"))[2:] == [
        ["`bias`", "nothing to choose"],
        [", ".join(f"`{name}`" for name in list(KINDS)[1:]), "train.learning_rate=0.1"],
    ]
    assert rows(part(one, "### Rows"))[2] == ["a", "5,400", "600", "600", "300"]
    assert len(rows(part(one, "### Figures by task"))) == 2 + len(KINDS)


def test_what_could_not_be_tested_is_not_called_level(folder: Path) -> None:
    level = {
        "low": None,
        "high": None,
        "p": None,
        "untested": "no spread",
        "holm": None,
        "effect": 0.0,
    }
    changed(folder / "one.json", lambda found: found["contenders"]["bias"]["tests"]["local"].update(level))
    one = results_page.written(folder).partition("## Toy one\n")[2].partition("\n## ")[0]
    (said,) = [line for line in one.splitlines() if line.startswith("- Against `local`")]
    assert "`bias`" not in said
    assert rows(part(one, "### The declared tests"))[2][1].endswith("<br>no\u00a0spread")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda found: found["contenders"]["bias"]["tests"]["local"].update(difference=-0.5), r"\(bias − local\)"),
        (lambda found: found["contenders"]["bias"]["tests"].pop("local"), r"\(bias − local\)"),
        (lambda found: found.update(seeds=99), "seeds, and one.json says 99"),
        (lambda found: found.pop("unit"), "one.json is damaged; write it again"),
        (lambda found: found.pop("contenders"), "one.json is damaged"),
        (lambda found: found["contenders"]["bias"].pop("mean"), "one.json is damaged"),
        (lambda found: found["contenders"]["bias"]["lines"]["local"].pop(), "one.json is damaged"),
    ],
)
def test_a_summary_that_does_not_fit_or_is_damaged(
    folder: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    changed(folder / "one.json", change)
    with pytest.raises(UserError, match=sentence):
        results_page.written(folder)


def test_a_summary_without_figures_and_figures_that_are_there_twice(folder: Path) -> None:
    lines = (folder / "one.csv").read_text().splitlines()
    (folder / "one.csv").write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(UserError, match=r"one.csv: .* stand there twice"):
        results_page.written(folder)
    (folder / "one.csv").unlink()
    with pytest.raises(UserError, match=r"one\.json has no one\.csv beside it"):
        results_page.written(folder)


def test_data_sets_of_the_same_name_are_told_apart(folder: Path) -> None:
    changed(folder / "two.json", lambda found: found["data"].update(name="Toy one"))
    text = results_page.written(folder)
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["All data sets", "Toy one (one)", "Toy one (two)"]


def test_who_was_trained_elsewhere_has_figures_and_no_test(folder: Path) -> None:
    changed(folder / "one.json", lambda found: found["contenders"].pop("ours"))
    text = results_page.written(folder)
    assert "Trained elsewhere, so that nothing is tested: `ours`." in text
    assert "<br>" not in rows(part(text, "## All data sets"))[7][1]


def test_without_figures_the_page_says_so(tmp_path: Path) -> None:
    assert results_page.main(tmp_path, tmp_path / "page.md") == 0
    assert "The figures are being computed" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize("name", REQUIRED)
def test_a_table_without_a_contender_that_a_reader_needs_is_refused(
    name: str, folder: Path, results: dict[str, tuple[Results, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_figures(folder / "one.csv", results["one"][0], leave_out=(name,))
    page = folder / "page.md"
    assert results_page.main(folder, page) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: one.csv has no figures of {name}: without bias, local, pooled and fedavg there is")
    assert told.count("\n") == 1
    assert not page.exists()


def without_contender(folder: Path) -> None:
    changed(folder / "one.json", lambda found: found["contenders"].pop("bias"))


def without_summary(folder: Path) -> None:
    (folder / "one.json").unlink()


def of_another_version(folder: Path) -> None:
    changed(folder / "one.json", lambda found: found.update(format=0))


def of_other_figures(folder: Path) -> None:
    path = folder / "one.csv"
    path.write_text(re.sub(r"(,pooled,a,click,0,0.5),.*", r"\1,0.5", path.read_text()))


def without_a_seed(folder: Path) -> None:
    path = folder / "one.csv"
    path.write_text(re.sub(r".*,pooled,a,click,0,.*\n", "", path.read_text()))


def of_two_data_sets(folder: Path) -> None:
    path = folder / "one.csv"
    path.write_text(path.read_text().replace("Toy one,bias,a,click,0", "Other,bias,a,click,0"))


def with_other_columns(folder: Path) -> None:
    path = folder / "one.csv"
    path.write_text(path.read_text().replace("valid_auc,", ""))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (without_contender, "one.json has no figures of bias"),
        (without_summary, "one.json is missing or damaged; write it from the benchmark's folder: msmtrec show RUN"),
        (of_another_version, "one.json is of another version"),
        (of_other_figures, "one.json and one.csv are of different figures (pooled: mean test AUC"),
        (without_a_seed, "one.json and one.csv are of different figures (pooled: mean test AUC"),
        (of_two_data_sets, "one.csv is of 2 data sets, not one: Other, Toy one"),
        (with_other_columns, "cannot read one.csv: its columns are not data,contender"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_a_sentence(damage: Any, sentence: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(UserError, match=re.escape(sentence)):
        read(folder / "one.csv")
