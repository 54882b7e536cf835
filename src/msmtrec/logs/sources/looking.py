"""A look at the headers of own logs, before any row is read: which column is where, and what expressions see in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from msmtrec.base.errors import UserError, nearest
from msmtrec.logs.reading.files import columns_of
from msmtrec.logs.sources import side_files
from msmtrec.logs.sources.own_columns import Uses, kinds_in
from msmtrec.logs.sources.settings.tables import Table

Used = dict[str, tuple[str, ...]]
"""Table -> columns that rows get from it."""


@dataclass(frozen=True)
class Look:
    """What is known before rows are read.

    Args:
        kinds: column that an expression reads -> kind.
        used: side table -> the columns that rows get from it.
    """

    kinds: Mapping[str, str]
    used: Used

    @property
    def joined(self) -> frozenset[str]:
        """Columns that rows get from side tables."""
        return frozenset(column for columns in self.used.values() for column in columns)


def look(
    paths: tuple[Path, ...], uses: Uses, tables: Mapping[str, Table], numerics: Mapping[Path, Collection[str]]
) -> Look:
    """Where the columns are that expressions read, and what they hold.

    Args:
        paths: the rows' files.
        numerics: file -> columns of text that hold numbers.

    Raises:
        UserError: a column is nowhere, in two places or of two kinds; an expression does not fit what it reads.
    """
    read = uses.read
    if not read and not tables:
        return Look({}, {})
    rows = dict.fromkeys(column for path in paths for column in columns_of(path, uses.form))
    wanted = list(uses.columns(dict.fromkeys(read, "text")))
    used = used_columns(tables, wanted, rows, uses)
    kinds = kinds_in(paths, read, uses.missing, numerics, form=uses.form)
    for name, columns in used.items():
        files = [path for group in side_files.places(name, tables[name]).values() for path in group]
        kinds |= kinds_in(files, {c: read[c] for c in columns if c in read}, uses.missing, {}, form=tables[name].form)
    for column, key in read.items():
        if column not in kinds:
            names = {*rows, *(c for columns in used.values() for c in columns)}
            where = f"{paths[0]} does not have" if len(paths) == 1 else "no file has"
            where = f"neither {paths[0]} nor a table has" if tables else where
            raise UserError(f"{key} reads column '{column}', which {where}; {nearest(column, names)}")
    uses.check(kinds)
    return Look(kinds, used)


def used_columns(tables: Mapping[str, Table], wanted: Collection[str], rows: Collection[str], uses: Uses) -> Used:
    """Which of the wanted columns come from which table.

    Args:
        rows: the columns that the rows have.

    Raises:
        UserError: a key is missing, a column is in two places, a table holds a label, or is of no use.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, table in tables.items():
        (first, *_), where = (
            (path for group in side_files.places(name, table).values() for path in group),
            f"data.tables.{name}",
        )
        names = columns_of(first, table.form)
        for key, of in table.keys.items():
            for column, there, none in ((key, names, f"{first} has no"), (of, rows, "the rows have no")):
                if column not in there:
                    raise UserError(f"{where}.key: {none} column '{column}'; {nearest(column, there)}")
        held = [column for column in names if column not in table.keys]
        if odd := [column for column in uses.label_columns if column in held]:
            raise UserError(f"{where}: {first} holds '{odd[0]}', which decides a label; labels stand in the rows")
        if odd := [column for column in (uses.split.column, uses.split.time) if column in held and column not in rows]:
            raise UserError(f"{where}: {first} holds '{odd[0]}', which decides the split; that stands in the rows")
        used = tuple(column for column in wanted if column in held)
        others = {column: other for other, columns in found.items() for column in columns}
        for column in used:
            if column in rows or column in others:
                whose = "the rows have" if column in rows else f"the table '{others[column]}' has"
                raise UserError(f"{where}: {first} has a column '{column}', which {whose} too; rename one of them")
        if not used:
            raise UserError(f"{where}: nothing uses a column of it ({', '.join(held) or 'it has none'}); remove it")
        found[name] = used
    return found
