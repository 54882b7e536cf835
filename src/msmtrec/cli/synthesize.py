"""`msmtrec data synthesize`: synthetic logs as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from msmtrec.base.errors import UserError
from msmtrec.cli.console import ConfigArgument, SetOption, config_path, err, out, table_of

if TYPE_CHECKING:
    from rich.table import Table

    from msmtrec.logs.synthetic.bayes import Truth


def data_synthesize(
    config: ConfigArgument,
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to; new, or written by this command.")],
    form: Annotated[
        str, typer.Option("--format", help="csv, parquet, aliexpress (processed) or aliexpress-original (zips).")
    ] = "csv",
    set_: SetOption = None,
) -> None:
    """Write synthetic logs as files, with a config that trains on them and the best possible AUC.

    Example: `msmtrec data synthesize synthetic --out made-up --set data.concept_shift=0.5`
    """
    from msmtrec.base.yaml import apply_override, read_yaml
    from msmtrec.config.parse import parse_config
    from msmtrec.config.places import placed
    from msmtrec.logs.sources.settings.synthetic import Synthetic

    path = config_path(config)
    raw = {"name": path.stem, **placed(read_yaml(path), path.parent.absolute())}
    for override in set_ or ():
        apply_override(raw, override)
    source = parse_config(raw).data
    if not isinstance(source, Synthetic):
        raise UserError(f"data.source is '{source.source}'; only synthetic logs are made: set data.source=synthetic")
    from msmtrec.logs.synthetic.synthesize import CONFIG, TRUTH, data_settings, synthesize  # not before it is needed

    parse_config({**raw, "data": data_settings(source, form)})
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("rows", total=None)
        truth = synthesize(
            source, folder, form, raw, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    out.print(truth_table(truth))
    out.print(
        f"files: {folder}   train on them: {folder / CONFIG}   truth: {folder / TRUTH}", soft_wrap=True, highlight=False
    )


def truth_table(truth: Truth, longest: int = 20) -> Table:
    """The AUC of the true probabilities per scenario × task; only the mean where there are more scenarios."""
    tasks = list(dict.fromkeys(task for _, task in truth.cells))
    scenarios = list(dict.fromkeys(scenario for scenario, _ in truth.cells))
    table = table_of("best possible test AUC", *(escape(task) for task in tasks))
    for scenario in scenarios if len(scenarios) <= longest else ():
        table.add_row(escape(scenario), *(f"{truth.cells[scenario, task].expected_auc:.4f}" for task in tasks))
    table.add_row(f"mean of {len(scenarios)}", *(f"{truth.mean(task):.4f}" for task in tasks))
    return table
