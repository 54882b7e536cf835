"""Where the commands print."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

out, err = Console(), Console(stderr=True)
if not out.is_terminal:
    out = Console(width=200)  # into a file or a pipe: do not fold tables to 80 columns


def table_of(*columns: str) -> Table:
    """An empty table whose cells fold instead of being cut."""
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
