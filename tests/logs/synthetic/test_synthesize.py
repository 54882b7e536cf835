"""Synthetic logs written to files: read back through the source they are meant for, they are the rows drawn."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.cli.main import main
from msmtrec.config.parse import load_config
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.logs.synthetic.synthesize import FORMS, synthesize


def made(form: str) -> Synthetic:
    shape = "aliexpress" if form.startswith("aliexpress") else "small"
    return Synthetic(scenarios=2, rows=(700, 400), shape=shape, covariate_shift=0.5, concept_shift=0.5)  # type: ignore[arg-type]


def alike(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """In the types of the generator: text as it stands, numbers as they are held."""
    kinds = {"click": pl.Int8, "conversion": pl.Int8}
    numeric = [c for c in columns if c == "price" or c.startswith("numerical")]
    return frame.select(pl.col(c).cast(kinds.get(c, pl.Float32 if c in numeric else pl.String)) for c in columns)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_read_back_is_what_was_drawn(form: str, tmp_path: Path) -> None:
    source, steps = made(form), []
    truth = synthesize(source, tmp_path / "out", form, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] == 1100 * (2 if form == "aliexpress-original" else 1)
    logs, drawn = load_config(tmp_path / "out" / "config.yaml").data.load(), source.load()
    for ours, theirs in zip(drawn.schema.scenarios, logs.schema.scenarios, strict=True):
        expected = drawn.frame(ours)
        found = alike(logs.frame(theirs), expected.columns)
        assert found.equals(alike(expected, expected.columns)), ours
    assert [f.name for f in logs.schema.features] == [f.name for f in drawn.schema.features]
    assert [(t.name, t.label, t.within) for t in logs.schema.tasks] == [
        (t.name, t.label, t.within) for t in drawn.schema.tasks
    ]
    assert logs.schema.group == drawn.schema.group
    assert [scenario for scenario, _ in truth.cells][::2] == list(logs.schema.scenarios)
    written = json.loads((tmp_path / "out" / "truth.json").read_text())
    assert written["bayes"] == truth.as_dict()
    assert list(truth.cells.values()) == list(source.truth().cells.values())
    assert Synthetic.model_validate(written["settings"]) == source


@pytest.mark.parametrize("form", FORMS)
def test_the_same_settings_give_the_same_bytes(form: str, tmp_path: Path) -> None:
    synthesize(made(form), tmp_path / "out", form)
    first = contents(tmp_path / "out")
    synthesize(made(form), tmp_path / "out", form)  # in the place of the first
    assert contents(tmp_path / "out") == first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("form", FORMS)
def test_on_a_full_disk_nothing_stays(form: str, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*/out: .*[Ff]ile too large.*; make room or choose another"):
            synthesize(made(form), tmp_path / "out", form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    synthesize(made("csv"), tmp_path / "out")
    before = contents(tmp_path / "out")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(made("csv"), tmp_path / "out", progress=stop)
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_that_it_did_not_write_is_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("important")
    with pytest.raises(UserError, match=r"mine holds notes.txt, which `msmtrec data synthesize` did not write"):
        synthesize(made("csv"), tmp_path / "mine")
    synthesize(made("csv"), tmp_path / "out")
    (tmp_path / "out" / "runs").mkdir()
    (tmp_path / "out" / "runs" / "results.json").write_text("{}")
    with pytest.raises(UserError, match=r"out holds runs/results.json, which"):
        synthesize(made("csv"), tmp_path / "out")
    synthesize(made("csv"), tmp_path / "edited")
    with (tmp_path / "edited" / "config.yaml").open("a") as file:
        file.write("seeds: 5\n")
    with pytest.raises(UserError, match=r"edited holds config.yaml, which .* did not write like that"):
        synthesize(made("csv"), tmp_path / "edited")
    with pytest.raises(UserError, match=r"notes.txt is a file; choose another folder"):
        synthesize(made("csv"), tmp_path / "mine" / "notes.txt")


@pytest.mark.parametrize(
    ("form", "settings", "sentence"),
    [
        ("xml", {}, r"--format is 'xml'; valid: csv, parquet, aliexpress, aliexpress-original"),
        ("aliexpress", {}, r"--format aliexpress needs data.shape aliexpress, not small"),
        ("aliexpress", {"shape": "aliexpress", "scenarios": 6}, r"only the countries NL, .* set data.scenarios=5"),
    ],
)
def test_forms_that_do_not_fit(form: str, settings: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        synthesize(Synthetic(**settings), tmp_path / "out", form)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    sys.argv = ["msmtrec", "data", *arguments]
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_the_command_writes_a_config_that_trains_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    few = ["--set", "data.rows=600", "--set", "methods=[local]", "--set", "train.rounds=1", "--set", "seeds=2"]
    code, out, err = command(capsys, "synthesize", "synthetic", "--out", str(tmp_path / "s"), *few)
    assert (code, err) == (0, "")
    assert "best possible test AUC" in out
    assert "mean of 4" in out
    config = load_config(tmp_path / "s" / "config.yaml")
    assert (config.name, config.contenders[0][0].train.rounds, config.seeds) == ("synthetic", 1, (0, 1))
    code, out, _ = command(capsys, "check", str(tmp_path / "s" / "config.yaml"))
    shares = "the split: 70 / 15 / 15 % training / validation / test rows"
    few, *last = out.splitlines()
    assert (code, last) == (0, [shares, "4 scenarios, 2,400 rows: usable, 1 note"])
    assert few.startswith("note: task 'conversion' of scenario 'scenario-")


def test_the_command_refuses_real_logs_with_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = command(capsys, "synthesize", "kuairand", "--out", str(tmp_path / "s"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "data.source is 'kuairand'; only synthetic logs are made" in err
