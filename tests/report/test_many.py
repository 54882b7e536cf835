"""A thousand scenarios: the page stays small, and so does the memory that makes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from msmtrec.record.reading import read_run
from msmtrec.record.relations import conflicts, listening
from msmtrec.report.relations import relations
from places import ROOT
from report.made import diagnostics, frame, journal

SETTINGS = {"": {"options": {"coordination": 0.4}, "train": {"rounds": 3}}}
PEAK = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))  # fails before the machine is full
from msmtrec.report.page import write_report
write_report(Path(sys.argv[1]))
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""
"""Peak memory in kB; getrusage would count the process that started this one."""


def make(folder: Path, K: int, full: bool = False) -> Path:
    rows = {f"scenario-{n}": 1000 + (7 * n) % K for n in range(K)}
    random = np.random.default_rng(0)
    for name, share in (("local", ""), ("recommended", "beta"), ("paper", "alpha")):
        found = diagnostics(list(rows), list(rows.values()), share, full) if share else {}
        journal(
            folder / "contenders" / name,
            list(rows),
            ["click", "buy"],
            3,
            lambda *_: float(random.uniform(0.6, 0.8)),
            lambda _, found=found: found,  # type: ignore[misc]
        )
    return frame(folder, rows, ["click", "buy"], dict.fromkeys(("local", "recommended", "paper"), SETTINGS))


def test_a_thousand_scenarios_are_reported_in_a_gigabyte(tmp_path: Path) -> None:
    folder = make(tmp_path, 1000)
    for name in ("recommended", "paper"):
        assert (folder / "contenders" / name / "rounds.jsonl").stat().st_size < 3 * 200_000
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PEAK, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1_000_000  # kB
    page = (folder / "report.html").read_text()
    assert len(page.encode()) < 2_000_000
    assert "The 30 largest of 1,000 scenarios. All 499,500 pairs: mean" in page
    assert "Panels: the 30 largest of 1,000 scenarios, and the mean of all others." in page
    assert "mean of the 970 others · click" in page
    large = sorted(range(1000), key=lambda n: (7 * n) % 1000)[-30:]
    assert all(f'aria-label="scenario-{n} · buy: validation AUC by round"' in page for n in large)
    assert "The 12 largest of 1,000 scenarios, and the spread of all (5–95 %)." in page
    assert "gain of 1,000 scenarios over local" in page
    curves, relations_, conflict, spread, costs_, ranks = 31 * 2, 3 * 2, 2, 2, 2, 1
    assert page.count("data-figure=") == curves + relations_ + conflict + spread + costs_ + ranks
    table = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[0])
    assert len(table["table"]["labels"]) == 2001  # every line is searched, though few are drawn
    assert page.count("<tr") < 500


def test_a_whole_matrix_of_an_older_run_is_drawn_alike(tmp_path: Path) -> None:
    older, newer = (read_run(make(tmp_path / name, 40, full)) for name, full in (("old", True), ("new", False)))
    drawn = older.largest(30)
    kept = [federation.conflict for federation in older.contenders["recommended"].federations]
    assert [conflict.names for conflict in kept if conflict] == [tuple(drawn)] * 3
    assert drawn == newer.largest(30)
    assert len(drawn) == 30
    for figure in (conflicts, listening):
        one, two = (figure(run.contenders["recommended"], drawn) for run in (older, newer))
        assert one is not None
        assert two is not None
        assert np.isfinite(one).all()
        assert one == pytest.approx(two, rel=1e-5)
    captions = [[figure.caption for _, figures in relations(run) for figure in figures] for run in (older, newer)]
    assert captions[0] == captions[1]
    assert "All 780 pairs" in captions[0][0]
