"""Commands: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from msmtrec.base.errors import UserError
from msmtrec.base.version import __version__
from msmtrec.cli.console import ConfigArgument, SetOption, config_path, err, out
from msmtrec.cli.data import data_app
from msmtrec.cli.export import export
from msmtrec.cli.listing import list_app
from msmtrec.cli.predict import predict

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
app.command()(predict)
app.command()(export)

OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Run directory [default: runs/NAME].")]


def main() -> NoReturn:
    """Entry point: one sentence and exit code 2 for what a user can repair."""
    try:
        app()
    except UserError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2)
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
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run of the same config.")] = False,
) -> None:
    """Train every method of a config on every seed and compare them.

    Example: `msmtrec train kuairand --set seeds=5 --set train.rounds=10 --out runs/mine`
    """
    from msmtrec.config.parse import load_config

    _run(load_config(config_path(config), tuple(set_ or ())), out_dir, resume)


@app.command()
def demo(
    out_dir: OutOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted demo.")] = False,
) -> None:
    """Reference contenders and PF-MSMTrec on real logs, in about four minutes.

    Example: `msmtrec demo --out runs/demo`
    """
    from msmtrec.cli.demo import built_in_config, choose_demo
    from msmtrec.config.parse import load_config

    name = choose_demo(lambda line: out.print(f"[dim]{escape(line)}[/]", soft_wrap=True))
    folder = out_dir or Path("runs") / f"demo-{name}"
    if out_dir is None and not resume:
        folder = _free(folder)
    _run(load_config(built_in_config(name)), folder, resume)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, with a test for every line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every test figure, one a line: results.csv.")] = False,
) -> None:
    """The tables of a finished run again.

    Example: `msmtrec show runs/demo-kuairand --markdown`
    """
    from msmtrec.record.figures import figures
    from msmtrec.report.markdown import results_markdown
    from msmtrec.serving.finished import Run

    finished = Run(run)
    if markdown and as_csv:
        raise UserError("give --markdown or --csv, not both")
    if as_csv:
        sys.stdout.write(figures(run, finished.results))
    elif markdown:
        sys.stdout.write(results_markdown(finished.results))
    else:
        _print(finished)


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
    from msmtrec.report.beside import write_beside
    from msmtrec.report.page import write_report

    if not runs:
        raise UserError("name a run directory, such as: msmtrec report runs/demo-kuairand")
    for folder in runs:
        check_finished(folder)
    page = write_report(runs[0], out_file) if len(runs) == 1 else write_beside(runs, out_file)
    out.print(str(page), soft_wrap=True, highlight=False, markup=False)


def _run(config: Any, folder: Path | None, resume: bool) -> None:
    from msmtrec.experiment.run import run

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        whole = bar.add_task("[bold]all rounds", total=None)
        contenders = {name: bar.add_task(name, total=total, visible=False) for name, total in _rounds(config).items()}
        bar.update(whole, total=sum(_rounds(config).values()))

        def progress(contender: str, done: int, total: int) -> None:
            bar.update(contenders[contender], completed=done, total=total, visible=done < total)
            bar.update(whole, completed=sum(task.completed for task in bar.tasks if task.id != whole))

        try:
            finished = run(
                config,
                out=folder,
                resume=resume,
                progress=progress,
                status=lambda text: bar.update(whole, description=f"[bold]{text}"),
                caution=lambda text: bar.console.print(
                    f"[yellow]note:[/] {escape(text)}", soft_wrap=True, highlight=False
                ),
            )
        except KeyboardInterrupt:
            bar.stop()
            err.print("interrupted; continue with the same command and --resume")
            raise typer.Exit(130) from None
        bar.update(whole, completed=sum(_rounds(config).values()))
    _print(finished)


def _rounds(config: Any) -> dict[str, int]:
    return {
        contender.title: contender.train.rounds + (contender.fine_tune.rounds if contender.fine_tune else 0)
        for candidates in config.contenders
        for contender in candidates
    }


def _print(run: Any) -> None:
    from msmtrec.report.qualities import quality_table
    from msmtrec.report.terminal import difference_table, results_table
    from msmtrec.report.words import verdicts

    out.print(results_table(run.results))
    if len(run.results.cells) > 1:
        out.print(difference_table(run.results))
    if run.results.qualities:
        out.print(quality_table(run.results))
    for sentence in verdicts(run.results):
        out.print(escape(sentence), soft_wrap=True, highlight=False)
    out.print(f"run directory: {run.folder}   report: {run.folder / 'report.html'}", soft_wrap=True, highlight=False)


def _free(folder: Path) -> Path:
    """The folder, or the first of folder-2, folder-3 … that is not taken."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
