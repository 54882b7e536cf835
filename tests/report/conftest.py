"""One small run for all who look at its page."""

from pathlib import Path

import pytest

from msmtrec import run
from msmtrec.report.page import write_report

CONFIG = {
    "name": "page <test>",
    "data": {"source": "synthetic", "scenarios": 3, "rows": 800},
    "train": {"rounds": 4, "local_steps": 8, "batch_size": 64, "learning_rate": 0.01},
    "methods": {
        "local": None,
        "fedavg-all": {"fine_tune": {"rounds": 2}},
        "paper": {"method": "pf-msmtrec", "preset": "paper"},
        "recommended": {"method": "pf-msmtrec"},
        "literal": {"method": "pf-msmtrec", "options": {"normalization": "literal", "personalization": "uniform"}},
    },
    "seeds": 2,
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = run(CONFIG, out=tmp_path_factory.mktemp("page") / "run", caution=lambda _: None)
    found.calibrate("isotonic")
    write_report(found.folder)
    return found.folder
