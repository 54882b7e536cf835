"""A run's table, and what shows it, in its directory."""

from __future__ import annotations

from pathlib import Path

from msmtrec.record import directory
from msmtrec.record.figures import figures
from msmtrec.record.results import Results
from msmtrec.report.page import write_report


def write_results(folder: Path, results: Results) -> None:
    """results.json, results.csv, report.html."""
    directory.write_json(folder / directory.RESULTS, results.as_dict())
    directory.write_atomic(folder / directory.FIGURES, figures(folder, results))
    write_report(folder)
