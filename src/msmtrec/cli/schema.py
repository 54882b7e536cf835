"""`msmtrec deploy schema`: what is told of rows, from files and folders, and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape

from msmtrec.base.errors import UserError
from msmtrec.cli.console import out, table_of
from msmtrec.deployed.overview import columns, fields, tasks
from msmtrec.deployed.told import Told, read_told
from msmtrec.deployed.told_here import told_here
from msmtrec.record.directory import write_atomic

NODE = "node.yaml"
"""In the folder of a node."""
WRITTEN = ".json"
"""Of what was written of a node."""


def collected(paths: Sequence[Path], *, count: bool) -> dict[str, Told]:
    """Scenario -> what is told of its rows.

    Args:
        paths: nodes' files or folders, and what was written of such (.json).
        count: rows of nodes.

    Raises:
        UserError: there is no such thing, it cannot be read, or two tell of one scenario; there is no node to count.
    """
    if count and all(path.suffix == WRITTEN for path in paths):
        raise UserError("--rows counts rows of nodes, and none is named; name a node's file or folder")
    found, places = dict[str, Told](), dict[str, Path]()
    for path in paths:
        told = _told(path, count)
        for scenario in told.scenarios:
            if scenario in found:
                raise UserError(f"{places[scenario]} and {path} both tell of scenario '{scenario}'; leave one out")
            found[scenario], places[scenario] = told, path
    return found


def _told(path: Path, count: bool) -> Told:
    if not path.exists():
        raise UserError(f"there is no {path}; name a deployment, a node's file or folder, or what was written of one")
    if path.suffix == WRITTEN:
        return read_told(path)
    file = path / NODE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{path} is no deployment and no node's folder: it has neither server/run.sh nor {NODE}")
    return told_here(file, count=count)


def writable(path: Path) -> None:
    """Raises: UserError where it is anything but an earlier file of this kind, or its folder is not there."""
    if path.suffix != WRITTEN:
        raise UserError(f"--out {path}: the name must end in {WRITTEN}, by which it is known again")
    if not path.parent.is_dir():
        raise UserError(f"--out {path}: the folder {path.parent} does not exist; create it or choose another file")
    if path.exists():
        try:
            read_told(path)
        except UserError as error:
            raise UserError(f"--out {path} is there, and it is another kind of file; choose another name") from error


def write(told: Told, path: Path) -> None:
    """Raises: UserError where it cannot be written."""
    try:
        write_atomic(path, told.text())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another file") from error


def print_told(told: Mapping[str, Told]) -> None:
    """Tables of fields, tasks and scenarios. told: scenario -> what is told of its rows."""
    for names, lines in (
        (("field", "kind", "id space", "who has it"), fields(told)),
        (("task", "within", "who has it"), tasks(told)),
        (("scenario", "group", "weight", "times", "rows: train + validation + test"), columns(told)),
    ):
        table = table_of(*names)
        for cells in lines:
            table.add_row(*(escape(cell) for cell in cells))
        out.print(table)
