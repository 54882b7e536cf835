"""What a run directory says of the machine."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from msmtrec.experiment import described


def test_a_process_asks_for_versions_and_revision_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = described.environment(1, 2, "cpu")

    def again(*_: Any, **__: Any) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(subprocess, "run", again)
    monkeypatch.setattr(described.metadata, "version", again)
    assert described.environment(3, 4, "cpu") == {**first, "jobs": 3, "threads": 4}
