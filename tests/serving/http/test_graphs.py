"""Graphs are made once for the same models, in a process of their own, and made again when anything differs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msmtrec.base.errors import UserError
from msmtrec.serving.finished import Run
from msmtrec.serving.http.graphs import Choice, Maker
from msmtrec.serving.http.served import Plan
from msmtrec.serving.http.settings import Settings
from serving.conftest import OwnRun


def test_the_same_models_have_the_same_graph(own_run: OwnRun, newer: Path, settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(own_run.folder, tmp_path / "copy")
    run, again, other = Run(own_run.folder), Run(tmp_path / "copy"), Run(newer)
    choice = Choice("recommended", 0)
    first = choice.digest(run, "NL")
    assert choice.digest(again, "NL") == first
    others = {
        choice.digest(run, "FR"),
        choice.digest(other, "NL"),
        Choice("recommended", 1).digest(run, "NL"),
        Choice("recommended").digest(run, "NL"),
        Choice("fedavg-all", 0).digest(run, "NL"),
        Choice("recommended", 0, "platt").digest(run, "NL"),
        Choice("recommended", 0, "beta").digest(run, "NL"),
    }
    assert len(others - {first}) == 7
    encoder = next((tmp_path / "copy" / "encoders" / "shared" / "NL").glob("encoder.json"))
    encoder.write_text(json.dumps({**json.loads(encoder.read_text()), "more": 1}))
    assert choice.digest(again, "NL") != first
    plan = Plan.of(settings)
    stamps = [plan.file(name).stat().st_mtime_ns for name in plan.digests]
    plan.export(Maker(), lambda _: pytest.fail("made again"))
    assert stamps == [plan.file(name).stat().st_mtime_ns for name in plan.digests]


def test_a_damaged_graph_is_said(settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(str(settings.graphs), tmp_path / "graphs")
    plan = Plan.of(replace(settings, graphs=tmp_path / "graphs"))
    plan.file("NL").write_bytes(b"no graph")
    with pytest.raises(UserError, match=r"NL-\w+\.onnx is damaged; remove it, and it is made again"):
        plan.load(lambda _: None)


def test_what_cannot_be_made_is_said(own_run: OwnRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wanted = {"NL": tmp_path / "file" / "NL.onnx"}
    with pytest.raises(UserError, match=r"cannot write to .*file: .*; name another folder with --graphs"):
        Maker().make(own_run.folder, Choice("recommended", 0), wanted, lambda _: None)
    with pytest.raises(UserError, match="has no contender 'nobody'"):
        Maker().make(own_run.folder, Choice("nobody"), {"NL": tmp_path / "NL.onnx"}, lambda _: None)
    maker = Maker()
    killed = threading.Thread(target=_kill, args=(maker,))
    killed.start()
    with pytest.raises(UserError, match="was ended by SIGKILL; did it have enough memory"):
        maker.make(own_run.folder, Choice("recommended", 0), {"NL": tmp_path / "NL.onnx"}, lambda _: None)
    killed.join()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _kill(maker: Maker) -> None:
    while maker._process is None:
        time.sleep(0.01)
    assert maker._process.pid is not None
    os.kill(maker._process.pid, signal.SIGKILL)


def test_calibrated_probabilities_are_served(own_run: OwnRun, settings: Settings, tmp_path: Path) -> None:
    plan = Plan.of(replace(settings, calibration="platt", graphs=tmp_path))
    plan.export(Maker(), lambda _: None)
    scorer = plan.load(lambda _: None).scorers["NL"]
    rows = own_run.rows("NL")
    own = {"contender": settings.contender, "seed": settings.seed, "caution": lambda _: None}
    plain, mapped = (own_run.loaded.predictor("NL", calibration=kind, **own) for kind in (None, "platt"))
    found = np.stack(scorer.run(scorer.of_arrow(rows.select(mapped.columns).to_arrow())), 1)
    np.testing.assert_allclose(found, mapped.probabilities(rows), atol=1e-5)
    assert np.abs(found - plain.probabilities(rows)).max() > 1e-3
