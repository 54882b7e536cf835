"""Commands: parse, call, print."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from msmtrec.base.errors import UserError
from msmtrec.base.version import __version__
from msmtrec.cli.ablate import ablate
from msmtrec.cli.adding import add_scenario
from msmtrec.cli.bench import bench
from msmtrec.cli.calibrate import calibrate
from msmtrec.cli.console import ConfigArgument, SetOption, check_run, config_path, err, out
from msmtrec.cli.continuing import go_on
from msmtrec.cli.data import data_app
from msmtrec.cli.deploy import deploy_app
from msmtrec.cli.export import export
from msmtrec.cli.listing import list_app
from msmtrec.cli.predict import predict
from msmtrec.cli.running import OutOption, ResumeOption, free, print_run, run_observed, shown
from msmtrec.cli.serve import serve
from msmtrec.cli.watch import LogFormat, LogFormatOption, LogToOption, QuietOption, watching

app = typer.Typer(
    name="msmtrec",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Federated multi-scenario multi-task recommendation. Start with: `msmtrec demo`",
)
app.add_typer(data_app, name="data")
app.add_typer(list_app, name="list")
app.add_typer(deploy_app, name="deploy")
app.command()(bench)
app.command()(ablate)
app.command()(predict)
app.command()(export)
app.command()(serve)
app.command("continue")(go_on)
app.command("add-scenario")(add_scenario)
app.command()(calibrate)


def main() -> NoReturn:
    """Entry point: one sentence and exit code 2 for what a user can repair."""
    try:
        app()
    except UserError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2)
    finally:
        gc.freeze()  # else all that torch has made is gone through once more at the end: half a second
    sys.exit(0)


def _say_version(asked: bool) -> None:
    if asked:
        out.print(f"msmtrec {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command()
def train(
    config: ConfigArgument,
    set_: SetOption = None,
    out_dir: OutOption = None,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_format: LogFormatOption = LogFormat.text,
    log_to: LogToOption = None,
) -> None:
    """Train every method of a config on every seed and compare them.

    Example: `msmtrec train kuairand --set seeds=5 --set train.rounds=10 --out runs/mine`
    """
    from msmtrec.config.parse import load_config

    with watching(quiet, log_format, log_to) as observer:
        finished = run_observed(load_config(config_path(config), tuple(set_ or ())), out_dir, resume, observer)
    print_run(finished)


@app.command()
def demo(
    out_dir: OutOption = None,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_format: LogFormatOption = LogFormat.text,
    log_to: LogToOption = None,
) -> None:
    """Reference contenders and PF-MSMTrec on real logs, in about four minutes.

    Example: `msmtrec demo --out runs/demo`
    """
    from msmtrec.cli.demo import built_in_config, choose_demo
    from msmtrec.config.parse import load_config

    def say(line: str) -> None:
        if not quiet:
            out.print(f"[dim]{escape(line)}[/]", soft_wrap=True)

    with watching(quiet, log_format, log_to) as observer:
        name = choose_demo(say)
        folder = out_dir or Path("runs") / f"demo-{name}"
        if out_dir is None and not resume:
            folder = free(folder)
        finished = run_observed(load_config(built_in_config(name)), folder, resume, observer)
    print_run(finished)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, with a test for every line.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="As LaTeX tables, for a paper.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every test figure, one a line: results.csv.")] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="As JSON: tests, gains and figures, for a page of results.")
    ] = False,
) -> None:
    """The tables of a finished run again.

    Example: `msmtrec show runs/demo-kuairand --markdown`
    """
    check_run(run)
    from msmtrec.serving.finished import Run

    finished = Run(run)
    forms = {"--markdown": markdown, "--latex": latex, "--csv": as_csv, "--summary": summary}
    wanted = [form for form, asked in forms.items() if asked]
    if len(wanted) > 1:
        raise UserError(f"give {wanted[0]} or {wanted[1]}, not both")
    if wanted:
        sys.stdout.write(shown(finished, wanted[0]))
    else:
        print_run(finished)


@app.command()
def report(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="RUN …", help="One run directory, or several.")] = None,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="The page [default: RUN/report.html; side-by-side.html beside several]."
        ),
    ] = None,
) -> None:
    """Write the page of a finished run again, or put several runs on the same rows side by side.

    Example: `msmtrec report runs/one runs/two --out both.html`
    """
    from msmtrec.record.directory import check_finished

    if not runs:
        raise UserError("name a run directory, such as: msmtrec report runs/demo-kuairand")
    for folder in runs:
        check_finished(folder)
    from msmtrec.report.beside import write_beside  # not before there is something to draw
    from msmtrec.report.page import write_report

    page = write_report(runs[0], out_file) if len(runs) == 1 else write_beside(runs, out_file)
    out.print(str(page), soft_wrap=True, highlight=False, markup=False)
