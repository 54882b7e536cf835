"""`device: auto`: what it is, where it is written down, and that a resumed run keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from experiment.small import CONFIG
from msmtrec import run
from msmtrec.base.errors import UserError
from msmtrec.experiment import sites
from msmtrec.experiment.devices import automatic
from msmtrec.record.events import Event, Progress


def test_it_is_what_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert automatic() == name
        assert sites._device("auto") == torch.device(name)
    with pytest.raises(UserError, match=r"train\.device is cuda but torch sees no CUDA device; set train\.device=cpu"):
        sites._device("cuda")


class Stopped(Exception):
    pass


def test_a_run_says_which_it_was_and_keeps_it(tmp_path: Path) -> None:
    config = {**CONFIG, "methods": ["local"], "train": {**CONFIG["train"], "device": "auto"}}

    def stop(event: Event) -> None:
        if isinstance(event, Progress):
            raise Stopped

    with pytest.raises(Stopped):
        run(config, out=tmp_path / "run", observer=stop)
    place = tmp_path / "run" / "environment.json"
    written = json.loads(place.read_text())
    assert written["device"] == automatic()
    place.write_text(json.dumps({**written, "device": "cuda"}))  # as if it had begun where there is one
    with pytest.raises(UserError, match=r"train\.device is cuda but torch sees no CUDA device"):
        run(config, out=tmp_path / "run", resume=True)
