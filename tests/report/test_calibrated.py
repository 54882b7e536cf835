"""The part of the page that says whether the probabilities are right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from msmtrec.record.reading import read_run
from msmtrec.report.calibrated import OPEN, PANELS, calibrated
from report.made import frame, journal


def line(scenario: str, lacks: str = "") -> dict[str, object]:
    before = {"auc": 0.7, "log_loss": 0.5, "ece": 0.1, "calibration": 1.5, "points": [[0.2, 0.1, 50], [0.4, 0.3, 50]]}
    after = before if lacks else {**before, "calibration": 1.0, "points": [[0.1, 0.1, 50], [0.3, 0.3, 50]]}
    return {"scenario": scenario, "task": "click", "lacks": lacks, "before": before, "after": after}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """20 scenarios, the first without a map."""
    names = [f"s{n}" for n in range(20)]
    journal(tmp_path / "contenders" / "local", names, ["click"], 2, lambda _s, _t, n, _g: 0.6 + n / 100, lambda _: {})
    frame(tmp_path, {name: 90 - n for n, name in enumerate(names)}, ["click"], {"local": {"": {}}})
    lines = [line(name, "3 positives" if name == "s0" else "") for name in names]
    found = {"kind": "platt", "contender": "local", "seed": None, "lines": lines}
    (tmp_path / "calibration.json").write_text(json.dumps(found))
    return tmp_path


def test_a_dot_a_bin_on_the_diagonal_where_they_agree(made: Path) -> None:
    found = calibrated(read_run(made))
    assert found is not None
    assert (len(found.panels), len(found.more)) == (OPEN, PANELS - OPEN)
    first, second = found.panels[:2]
    assert first.caption == "Not calibrated: 3 positives among its validation rows."
    assert [row[0] for row in first.rows] == ["before"] * 2
    assert second.rows == [
        ["before", 0.2, 0.1, 50],
        ["before", 0.4, 0.3, 50],
        ["after", 0.1, 0.1, 50],
        ["after", 0.3, 0.3, 50],
    ]
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', second.svg)]
    (x0, y0), (x1, y1) = dots[2], dots[3]
    edges = re.findall(r'd="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)" class="edge"', second.svg)
    a, b, c, d = map(float, edges[-1])  # the diagonal
    for x, y in ((x0, y0), (x1, y1)):
        assert y == pytest.approx(b + (d - b) * (x - a) / (c - a), abs=0.2)
    assert dots[0][1] > b + (d - b) * (dots[0][0] - a) / (c - a) + 5  # too sure: below the diagonal
    assert found.rows[0]["cells"][0] == ("1.5000", "")
    assert found.rows[1]["cells"][0] == ("1.5000", "1.0000")
    assert len(found.table.rows) == 20


def test_without_a_calibration_there_is_no_such_part(made: Path) -> None:
    (made / "calibration.json").unlink()
    assert calibrated(read_run(made)) is None
