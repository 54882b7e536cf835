"""Runs side by side: the same rows, or a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msmtrec.base.errors import UserError
from msmtrec.record.several import read_several
from record.finished import labels_of
from record.several_runs import LABELS, make_run


def two(folder: Path) -> list[Path]:
    one = make_run(folder / "one", {"local": 0.7, "ours": 0.9}, config={"train": {"rounds": 3, "learning_rate": 0.1}})
    other = make_run(
        folder / "two", {"local": 0.7, "ours": 1.4, "more": 0.8}, config={"train": {"rounds": 5, "learning_rate": 0.1}}
    )
    return [one, other]


def test_columns_means_and_what_differs(tmp_path: Path) -> None:
    found = read_several(two(tmp_path))
    assert [run.name for run in found.runs] == ["one", "two"]
    assert found.contenders == ["local", "ours", "more"]
    assert found.counted == [0, 1]  # the thin one is counted by nobody
    assert [(name, run.name) for name, run in found.columns()] == [
        ("local", "one"), ("local", "two"), ("ours", "one"), ("ours", "two"), ("more", "two")
    ]  # fmt: skip
    run = found.runs[0]
    assert found.per_seed(run, "ours").mean() == pytest.approx(run.results.cells["ours"][-1].mean)
    assert found.table(found.columns()).shape == (2, 5)
    assert found.settings() == [("train.rounds", [3, 5])]  # neither the name nor the jobs


def test_a_contender_against_itself_in_the_first_run(tmp_path: Path) -> None:
    found = read_several(two(tmp_path))
    same, other = found.against_first("local")["two"].compared, found.against_first("ours")["two"].compared
    assert same.untested == "no spread"
    assert other.tested
    assert other.difference == pytest.approx(
        found.per_seed(found.runs[1], "ours").mean() - found.per_seed(found.runs[0], "ours").mean()
    )
    assert 0 < other.low < other.difference < other.high
    assert found.against_first("more") == {}


def test_a_setting_that_one_of_three_has(tmp_path: Path) -> None:
    folders = [
        make_run(tmp_path / name, {"local": 0.7}, config=config)
        for name, config in (("a", {}), ("b", {"seeds": 5}), ("c", {}))
    ]
    assert read_several(folders).settings() == [("seeds", [None, 5, None])]


def test_other_seeds_are_shown_and_not_tested(tmp_path: Path) -> None:
    found = read_several(
        [make_run(tmp_path / n, {"local": 0.7}, seeds=seeds) for n, seeds in (("a", (0, 1, 2)), ("b", (3, 4)))]
    )
    compared = found.against_first("local")["b"].compared
    assert not compared.tested
    assert np.isnan(compared.difference)
    assert [len(found.per_seed(run, "local")) for run in found.runs] == [3, 2]


def test_without_a_common_line_there_is_no_mean(tmp_path: Path) -> None:
    thin = {"thin": labels_of(300, 4), "one class": labels_of(300, 0)}
    found = read_several([make_run(tmp_path / n, {"local": 0.7}, labels={"x": thin["one class"]}) for n in "ab"])
    assert found.counted == []
    assert np.isnan(found.per_seed(found.runs[0], "local")).all()


def test_rows_encoded_in_other_ways_say_nothing_of_the_training_rows(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, {"local": 0.7}) for name in ("a", "b")]
    assert read_several(folders).same_training
    data = (tmp_path / "b" / "data.json").read_text()
    (tmp_path / "b" / "data.json").write_text(data.replace('"private"', '"shared"').replace("f" * 64, "0" * 64))
    assert not read_several(folders).same_training


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / place / "run", {"local": 0.7}) for place in ("x", "y")]
    assert [run.name for run in read_several(folders).runs] == ["x/run", "y/run"]


def test_other_rows_are_refused(tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", {"local": 0.7})
    prints = make_run(tmp_path / "prints", {"local": 0.7}, fingerprint="0" * 64)
    fewer = make_run(tmp_path / "fewer", {"local": 0.7}, labels={"a": LABELS["a"]})
    longer = make_run(tmp_path / "longer", {"local": 0.7}, labels=LABELS | {"b": labels_of(402)})
    mixed = make_run(tmp_path / "mixed", {"local": 0.7}, labels=LABELS | {"b": np.roll(LABELS["b"], 1)})
    weighed = make_run(tmp_path / "weighed", {"local": 0.7})
    path = weighed / "contenders" / "local" / "scores.npz"
    with np.load(path) as held:
        np.savez(path, **{**held, "b/weights": np.full(400, 2.0)})
    for other, why in (
        (prints, r"fingerprints of the private data: 0{12} and f{12}"),
        (fewer, "other scenarios and tasks"),
        (longer, "test rows are counted differently"),
        (mixed, "test rows of scenario 'b'"),
        (weighed, "test rows of scenario 'b'"),
    ):
        with pytest.raises(UserError, match=f"on different rows .*{why}"):
            read_several([first, other])


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", {"local": 0.7})
    begun = make_run(tmp_path / "begun", {"local": 0.7})
    (begun / "results.json").unlink()
    with pytest.raises(UserError, match=r"is not finished; continue it: msmtrec train .*config.yaml --out .* --resume"):
        read_several([first, begun])
    with pytest.raises(UserError, match=r"there is no run in .*firts; did you mean .*first"):
        read_several([first, tmp_path / "firts"])
    with pytest.raises(UserError, match="named twice"):
        read_several([first, tmp_path / "begun" / ".." / "first"])
    (tmp_path / "first" / "contenders" / "local" / "scores.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"scores.npz is missing or damaged"):
        read_several([first])
