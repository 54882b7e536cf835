"""`msmtrec predict`: raw rows in, probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from msmtrec.base.errors import UserError
from msmtrec.cli.console import check_run, err

if TYPE_CHECKING:
    from msmtrec.logs.reading.csv_form import CsvForm

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a finished run.")]
ContenderOption = Annotated[
    str | None,
    typer.Option("--contender", metavar="NAME", help="Column of the result table [default: best on validation]."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="One seed's model [default: the mean over all].")]
CalibrationOption = Annotated[
    str | None,
    typer.Option("--calibration", metavar="platt|isotonic|beta", help="Map fitted on validation rows [default: none]."),
]


def say(sentence: str) -> None:
    """A caution, on the terminal."""
    err.print(f"[yellow]note:[/] {escape(sentence)}", soft_wrap=True, highlight=False)


def csv_form(text: str | None) -> CsvForm:
    """What --csv says.

    Raises:
        UserError: it is no form of CSV.
    """
    from msmtrec.base.sentences import build, group
    from msmtrec.base.yaml import parse_yaml
    from msmtrec.logs.reading.csv_form import COMMAS, CsvForm

    return COMMAS if text is None else build(CsvForm, group(parse_yaml(text, "--csv is no YAML"), "--csv"), "--csv")


def predict(
    run: RunArgument,
    scenario: Annotated[str, typer.Option("--scenario", metavar="NAME", help="Whose rows these are.")],
    source: Annotated[Path, typer.Option("--input", metavar="FILE", help="CSV or Parquet; - is CSV on stdin.")],
    target: Annotated[Path, typer.Option("--output", metavar="FILE", help=".parquet or .csv; - is CSV on stdout.")],
    contender: ContenderOption = None,
    seed: SeedOption = None,
    calibration: CalibrationOption = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="COLUMN", help="Write it too; repeatable.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", metavar="K", help="Only the best rows of a request.")] = None,
    request: Annotated[str | None, typer.Option("--request", metavar="COLUMN", help="Names the request.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="That compute the network.")] = 1,
    by: Annotated[str | None, typer.Option("--by", metavar="TASK", help="Ranks [default: the first task].")] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FORM", help="How a CSV is written, as data.csv: '{separator: tab}'.")
    ] = None,
) -> None:
    """Score raw rows with the models of a finished run: a probability per task and row, in the order of the rows.

    Columns have the names and forms of the training logs; others than the features are not looked at.

    Example: `msmtrec predict runs/mine --scenario NL --input rows.parquet --output scores.parquet --keep user_id`
    """
    check_run(run)
    from msmtrec.serving.batch import Best, predict_file
    from msmtrec.serving.files import rows_in
    from msmtrec.serving.finished import Run

    form = csv_form(csv)
    if (top_k is None) != (request is None):
        raise UserError("--top-k and --request belong together: K rows of each request")
    if by is not None and top_k is None:
        raise UserError("--by says what --top-k ranks by; give --top-k and --request too")
    predictor = Run(run).predictor(scenario, contender=contender, seed=seed, calibration=calibration, caution=say)
    best = None if top_k is None else Best(top_k, request or "", by or predictor.tasks[0])
    seeds = ", ".join(map(str, predictor.models))
    more = f", calibrated: {calibration}" if calibration else ""
    err.print(f"[dim]scenario {scenario}, contender {predictor.contender}, seeds {seeds}{more}[/]", soft_wrap=True)
    columns = (
        TextColumn("{task.completed:,.0f} rows"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=rows_in(source))
        rows = predict_file(
            predictor,
            source,
            target,
            keep=tuple(keep or ()),
            form=form,
            best=best,
            threads=threads,
            progress=lambda done: bar.advance(task, done),
        )
    err.print(f"{rows:,} rows scored", highlight=False)
