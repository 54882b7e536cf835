"""Deployments that are only looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployed.deployment import made


@pytest.fixture(scope="session")
def near(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All on one machine."""
    return made(tmp_path_factory.mktemp("near"))


@pytest.fixture(scope="session")
def far(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("far"), host="lab.example.org", port=9443)
