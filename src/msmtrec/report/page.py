"""report.html: one self-contained page from a run directory alone."""

from __future__ import annotations

from pathlib import Path

from msmtrec import rundir


def write_report(folder: Path) -> Path:
    """Render the page; nothing on it needs a network."""
    rundir.write_atomic(folder / rundir.REPORT, "<html></html>")
    return folder / rundir.REPORT
