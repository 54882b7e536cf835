"""The warning of lines below the reference rests on the one p, corrected over a contender's lines."""

from __future__ import annotations

from msmtrec.evaluation.compare import Comparison
from msmtrec.record.reading import ContenderRecord, RunRecord, metric_table
from msmtrec.record.results import MEAN, Cell, Results
from msmtrec.report.diagnosis import diagnose


def cell(difference: float, p_value: float) -> Cell:
    return Cell((0.6, 0.6), Comparison(difference, 2, 0.01, 0.01, df=9.0, p_value=p_value, low=-0.1, high=0.1))


def test_only_lines_that_are_clearly_below() -> None:
    cells = (cell(-0.03, 0.001), cell(-0.02, 0.03), cell(0.04, 0.001), cell(-0.01, 0.2), cell(-0.5, 1e-9))
    lines = (("a", "click"), ("b", "click"), ("c", "click"), ("d", "click"), MEAN)
    results = Results("t", lines, {"ours": cells}, "local", support=(), counted=(), users=0, rows=0)
    run = RunRecord(
        results, {"ours": ContenderRecord("ours", metric_table([]), [], [])}, {}, {}, config_text="", sizes={"a": 1}
    )
    assert diagnose(run) == [
        "ours: scenario a, click is below local by 3.00 points (p .004, corrected over the contender's lines):"
        " too much sharing for it"
    ]
