"""What the commands that train have in common: where a run goes, and what is printed of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from msmtrec.cli.console import out

BesideOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="New run directory [default: beside RUN].")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run of the same config.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Run directory [default: runs/NAME].")]


def run_observed(config: Any, folder: Path | None, resume: bool, observer: Any) -> Any:
    from msmtrec.record.directory import check_free

    folder = folder or Path("runs") / config.name
    check_free(folder, config.as_dict(), resume=resume)
    from msmtrec.experiment.run import run  # torch with it: not before there is something to train
    from msmtrec.runtime.allocator import keep_freed_memory

    keep_freed_memory()
    return run(config, out=folder, resume=resume, observer=observer, caution=lambda _: None)  # notes are events


def print_run(run: Any) -> None:
    from msmtrec.report.expected import expected_table
    from msmtrec.report.words import trained_on, verdicts

    for table in _tables(run):
        out.print(table)
    if run.expected:
        out.print(expected_table(run.results, run.expected))
    for sentence in (*trained_on(run.results), *verdicts(run.results)):
        out.print(escape(sentence), soft_wrap=not out.is_terminal, highlight=False)
    out.print(f"run directory: {run.folder}   report: {run.folder / 'report.html'}", soft_wrap=True, highlight=False)


def _tables(run: Any) -> Iterator[Any]:
    """Of an ablation one line a variant; the report has the tables by scenario and task."""
    if run.results.ablation is not None:
        from msmtrec.report.ablation import ablation_table

        yield ablation_table(run.folder, run.results)
        return
    from msmtrec.report.qualities import quality_table
    from msmtrec.report.terminal import difference_table, results_table

    yield results_table(run.results)
    if len(run.results.cells) > 1:
        yield difference_table(run.results)
    if run.results.qualities:
        yield quality_table(run.results)


def shown(run: Any, form: str) -> str:
    """A finished run's tables as text. form: as the option of `show` is called."""
    if form == "--csv":
        from msmtrec.record.figures import figures

        return figures(run.folder, run.results)
    if form == "--latex":
        from msmtrec.report.latex import results_latex

        return results_latex(run.results)
    if form == "--summary":
        from msmtrec.studies.digest import digest, text_of

        return text_of(digest(run.folder, run.results))
    from msmtrec.report.ablation import ablation_markdown
    from msmtrec.report.expected import expected_markdown
    from msmtrec.report.markdown import results_markdown

    expected = "\n" + expected_markdown(run.results, run.expected) if run.expected else ""
    if run.results.ablation is not None:
        return ablation_markdown(run.folder, run.results) + expected
    return results_markdown(run.results) + expected


def free(folder: Path) -> Path:
    """The folder, or the first of folder-2, folder-3 … that is not taken."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
