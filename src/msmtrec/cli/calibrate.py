"""`msmtrec calibrate`: what a calibration does to a run's probabilities."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from msmtrec.cli.console import check_run, out
from msmtrec.cli.predict import ContenderOption, RunArgument, SeedOption, say


def calibrate(
    run: RunArgument,
    kind: Annotated[str, typer.Option("--kind", metavar="platt|isotonic|beta", help="Which map.")] = "platt",
    contender: ContenderOption = None,
    seed: SeedOption = None,
) -> None:
    """Fit a map from probability to label rate for every scenario and task, and show what it does to the test rows.

    Each is fitted on the scenario's own validation rows; nothing else is changed. Writes calibration.json and the
    report. To use it: `predict` and `export` with --calibration.

    Example: `msmtrec calibrate runs/mine --kind beta`
    """
    check_run(run)
    from msmtrec.record.directory import CALIBRATION, REPORT, read_json
    from msmtrec.report.calibrated import calibration_table, note
    from msmtrec.report.page import write_report
    from msmtrec.serving.finished import Run

    finished = Run(run)
    lines = finished.calibrate(kind, contender=contender, seed=seed)
    write_report(run)
    found = read_json(run / CALIBRATION)
    out.print(calibration_table(found["lines"], f"Calibration: {found['kind']}, {found['contender']}"))
    for line in lines:
        if line.fitted.calibration is None:
            say(line.fitted.sentence(line.scenario, line.task))
    out.print(escape(note(found)), soft_wrap=True, highlight=False)
    out.print(f"{run / CALIBRATION}   report: {run / REPORT}", soft_wrap=True, highlight=False, markup=False)
