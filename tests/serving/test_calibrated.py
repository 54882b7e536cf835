"""Calibrated probabilities: fitted on validation rows, the same in every form in which a model is used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.special import expit

import msmtrec
from called import called
from msmtrec.base.errors import Caution, UserError
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.forms import as_yielded
from msmtrec.evaluation.calibration import KINDS, Chances, calibrate
from msmtrec.evaluation.reliability import Reliability
from msmtrec.serving.export import export
from msmtrec.serving.onnx.inputs import Input, feeds
from serving.conftest import OwnRun

FEW = "NL · buy is not calibrated: its validation rows have 7 positives, a fit needs 10 of either class"


@pytest.fixture(scope="module")
def few_run(own_run: OwnRun, tmp_path_factory: pytest.TempPathFactory) -> OwnRun:
    """With 7 of NL's 10 validation rows that were bought."""
    folder = tmp_path_factory.mktemp("few") / "run"
    shutil.copytree(own_run.folder, folder)
    for path in folder.glob("contenders/*/validation-scores.npz"):
        with np.load(path) as found:
            held = dict(found)
        bought = np.flatnonzero(held["NL/labels"][:, 1] > 0)
        assert len(bought) == 10
        held["NL/labels"][bought[:3], 1] = np.nan
        np.savez(path, **held)
    return OwnRun(folder, own_run.log)


def kept(run: OwnRun, name: str) -> dict[str, np.ndarray]:
    with np.load(run.folder / "contenders" / "recommended" / name) as found:
        return dict(found)


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_served_is_fitted_on_validation_rows_alone(few_run: OwnRun, kind: str, seed: int | None) -> None:
    """Of all seeds their mean is calibrated, of one seed its own."""
    run, said = few_run.loaded, list[str]()
    rows = few_run.rows("NL")
    predictor = run.predictor("NL", contender="recommended", seed=seed, calibration=kind, caution=said.append)
    assert said == [FEW]
    valid, seeds = kept(few_run, "validation-scores.npz"), (0, 1) if seed is None else (seed,)
    chances = Chances.of([valid[f"NL/{n}"][:, 0] for n in seeds])
    fitted = calibrate(kind, chances, valid["NL/labels"][:, 0])
    plain = run.predictor("NL", contender="recommended", seed=seed)
    wanted = fitted.probabilities(Chances.of([logits[:, 0] for logits in plain.logits(rows)]))
    found = predictor.predict(rows)
    assert np.abs(found["click"].to_numpy() - wanted).max() < 1e-6
    assert np.abs(found["click"].to_numpy() - plain.predict(rows)["click"].to_numpy()).max() > 1e-3
    assert np.abs(found["buy"].to_numpy() - plain.predict(rows)["buy"].to_numpy()).max() < 1e-6  # as it was
    assert predictor.predict(rows[:0]).height == 0
    assert repr(predictor).endswith(f"calibration={kind!r})")


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_map_is_in_the_graph_and_on_the_card(few_run: OwnRun, tmp_path: Path, kind: str, seed: int | None) -> None:
    run, rows, said = few_run.loaded, few_run.rows("NL"), list[str]()
    asked = {"contender": "recommended", "seed": seed, "calibration": kind, "caution": said.append}
    path = export(run, tmp_path, "NL", form="onnx", **asked).path  # type: ignore[arg-type]
    predictor = run.predictor("NL", **asked)  # type: ignore[arg-type]
    card = json.loads((tmp_path / "NL.json").read_text())
    inputs = {name: Input.from_dict(one) for name, one in card["inputs"].items()}
    session = onnxruntime.InferenceSession(path)
    for frame in (rows, rows[:1]):
        found = session.run(None, feeds(inputs, as_yielded(predictor.encoder.schema, frame.select(predictor.columns))))
        assert np.abs(np.stack(found, 1) - predictor.predict(frame).to_numpy()).max() < 1e-5
    assert card["calibration"]["kind"] == kind
    assert card["calibration"]["fitted_on"] == "the scenario's own validation rows, which also chose the round"
    click, buy = (card["calibration"]["tasks"][task] for task in ("click", "buy"))
    assert click["map"] == predictor.maps[0].as_dict()  # type: ignore[union-attr]
    assert (buy["map"], buy["lacks"], buy["before"] == buy["after"]) == (None, "7 positives", True)
    test, seeds = kept(few_run, "scores.npz"), (0, 1) if seed is None else (seed,)
    p = np.mean([expit(test[f"NL/{n}"][:, 0].astype(float)) for n in seeds], 0)
    assert click["before"]["calibration"] == pytest.approx(p.sum() / test["NL/labels"][:, 0].sum())
    served = predictor.predict(rows)["click"].to_numpy().astype(float)
    assert click["after"]["calibration"] == pytest.approx(served.sum() / test["NL/labels"][:, 0].sum(), abs=1e-5)
    assert said == [FEW] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_is_in_the_torch_program(few_run: OwnRun, tmp_path: Path, kind: str) -> None:
    rows, run = few_run.rows("FR"), few_run.loaded
    export(run, tmp_path, "FR", form="torch", contender="recommended", calibration=kind)
    encoder = Encoder.load(tmp_path / "FR-encoder")
    held = encoder.encode(rows.select(encoder.columns), "FR")
    program = torch.export.load(tmp_path / "FR.pt2").module()
    found = program(torch.from_numpy(held.ids), torch.from_numpy(held.numeric)).detach().numpy()
    wanted = run.predictor("FR", contender="recommended", calibration=kind).predict(rows).to_numpy()
    assert np.abs(found - wanted).max() < 1e-5


def test_without_being_asked_nothing_is_calibrated(few_run: OwnRun, tmp_path: Path) -> None:
    run = few_run.loaded
    assert run["NL"].calibration is None
    assert run["NL"].maps == (None, None)
    export(run, tmp_path, "FR", form="onnx")
    assert "calibration" not in json.loads((tmp_path / "FR.json").read_text())


def test_a_task_that_stays_as_it_is_is_said(few_run: OwnRun) -> None:
    with pytest.warns(Caution, match="NL · buy is not calibrated"):
        few_run.loaded.predictor("NL", contender="recommended", calibration="platt")


def test_the_command_shows_test_rows_before_and_after(
    few_run: OwnRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(few_run.folder, folder)
    code, out, err = called(capsys, "calibrate", str(folder), "--kind", "beta", "--contender", "recommended")
    assert code == 0, err
    assert FEW in " ".join(err.split())
    found = json.loads((folder / "calibration.json").read_text())
    assert (found["kind"], found["contender"], found["seed"]) == ("beta", "recommended", None)
    lines = {(line["scenario"], line["task"]): line for line in found["lines"]}
    assert list(lines) == [("FR", "click"), ("NL", "click"), ("NL", "buy")]
    test = kept(few_run, "scores.npz")
    chances = Chances.of([test[f"NL/{n}"][:, 0] for n in (0, 1)])
    line = lines["NL", "click"]
    with np.load(folder / "contenders/recommended/validation-scores.npz") as valid:
        labels = valid["NL/labels"][:, 0]
        fitted = calibrate("beta", Chances.of([valid[f"NL/{n}"][:, 0] for n in (0, 1)]), labels)
    assert (line["rows"], line["positives"]) == (len(labels), labels.sum())
    wanted = Reliability.of(fitted.logits(chances), test["NL/labels"][:, 0])
    assert line["after"]["log_loss"] == pytest.approx(wanted.log_loss)
    assert f"{line['before']['auc']:.4f} → {line['after']['auc']:.4f}" in out
    page = (folder / "report.html").read_text()
    assert "Are the probabilities right?" in page
    assert "7 positives among its validation rows" in page
    assert "Are the probabilities right?" not in (few_run.folder / "report.html").read_text()
    scores = folder / "scores.csv"
    asked = ("predict", str(folder), "--scenario", "FR", "--input", str(few_run.log), "--output", str(scores))
    code, _, err = called(capsys, *asked, "--calibration", "beta")
    assert (code, "calibrated: beta" in err) == (0, True)


def test_what_cannot_be_calibrated_is_said(few_run: OwnRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(few_run.folder, folder)
    code, _, err = called(capsys, "calibrate", str(folder), "--kind", "plat")
    assert (code, "there is no calibration 'plat'; did you mean 'platt'?" in err) == (2, True)
    held = folder / "contenders" / "recommended" / "validation-scores.npz"
    content = held.read_bytes()
    held.unlink()
    asked = {"contender": "recommended", "calibration": "platt"}
    with pytest.raises(
        UserError, match=r"no validation-scores.npz, as runs of earlier versions have none.*train again"
    ):
        msmtrec.load(folder).predictor("FR", **asked)  # type: ignore[arg-type]
    held.write_bytes(content[:200])
    with pytest.raises(UserError, match=r"validation-scores.npz is missing or damaged"):
        msmtrec.load(folder).predictor("FR", **asked)  # type: ignore[arg-type]
    (folder / "calibration.json").write_text("[]")
    code, _, err = called(capsys, "report", str(folder))
    assert (code, "damaged, or from another version; write it again: msmtrec calibrate" in " ".join(err.split())) == (
        2,
        True,
    )
