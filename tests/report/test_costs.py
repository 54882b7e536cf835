"""Seconds of the whole grid."""

from __future__ import annotations

from pathlib import Path

from msmtrec.record.reading import read_run
from msmtrec.report.costs import costs
from msmtrec.report.page import write_report
from report.made import frame, journal


def test_every_candidate_costs(tmp_path: Path) -> None:
    for name, seconds in (("a=1", 1.0), ("a=2", 2.0)):
        journal(tmp_path / "contenders/local" / name, ["s"], ["click"], 3, lambda *_: 0.7, seconds=seconds)
    frame(tmp_path, {"s": 9}, ["click"], {"local": {"a=1": {}, "a=2": {}, "a=3": {}}}, {"local": "a=2"})
    found = costs(read_run(tmp_path).contenders["local"])
    assert (found.seconds, found.all_seconds) == (6.0, 9.0)
    assert (found.candidates, found.known) == (3, 2)  # the folder of the third is gone
    assert found.up == {"tower": 0.01}
    assert "2 of 3 candidates" in write_report(tmp_path).read_text()


def test_steps_are_printed(tmp_path: Path) -> None:
    rising = {"s": 2, "r": 3}
    journal(tmp_path / "contenders/local", ["s", "r"], ["click"], 3, lambda s, _t, n, _g: 0.6 + 0.1 * (n == rising[s]))
    frame(tmp_path, {"s": 9, "r": 9}, ["click"], {"local": {"": {}}})
    found = costs(read_run(tmp_path).contenders["local"])
    assert (found.steps, found.a_round) == ((60, 90), (30, 30))
    page = write_report(tmp_path).read_text()
    assert "60 – 90<small>a round 30</small>" in page


def test_without_a_grid_both_are_the_same(tmp_path: Path) -> None:
    journal(tmp_path / "contenders/local", ["s"], ["click"], 2, lambda *_: 0.7)
    frame(tmp_path, {"s": 9}, ["click"], {"local": {"": {}}})
    found = costs(read_run(tmp_path).contenders["local"])
    assert (found.seconds, found.all_seconds, found.candidates, found.known) == (2.0, 2.0, 1, 1)
