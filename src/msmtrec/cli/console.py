"""What the commands have in common: where they print, and how a config is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

out, err = Console(emoji=False), Console(stderr=True, emoji=False)  # names such as a:x:b are no pictures
if not out.is_terminal:
    out = Console(width=200, emoji=False)  # into a file or a pipe: do not fold tables to 80 columns

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="YAML file, or a built-in name such as kuairand.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a key; repeatable.")]


def table_of(*columns: str) -> Table:
    """An empty table whose cells fold instead of being cut."""
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def config_path(config: str) -> Path:
    """A YAML file, or a built-in config by name."""
    path = Path(config)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    from msmtrec.cli.demo import built_in_config

    return built_in_config(config)


def check_run(run: Path) -> None:
    """A directory holds a finished run, which is looked at before anything is loaded that only its models need.

    Raises:
        UserError: as `msmtrec.load`.
    """
    from msmtrec.record.directory import RESULTS, check_finished

    if not (run / RESULTS).exists():
        check_finished(run)
