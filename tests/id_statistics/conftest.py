"""One finished run for all tests of this room."""

from __future__ import annotations

import pytest

from id_statistics.runs import KnownRun, made


@pytest.fixture(scope="session")
def known_run(tmp_path_factory: pytest.TempPathFactory) -> KnownRun:
    return made(tmp_path_factory.mktemp("known"))
