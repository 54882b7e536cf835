"""Side tables of own logs: columns of items or users, joined to the rows by key. A join never multiplies rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.texts import as_text
from msmtrec.data.snapshot import remembered, snapshot
from msmtrec.logs.reading.chunks import collect
from msmtrec.logs.reading.csv_lines import check_lines
from msmtrec.logs.reading.files import scan
from msmtrec.logs.sources import side_files
from msmtrec.logs.sources.own_columns import Uses
from msmtrec.logs.sources.own_frames import Frames, Roles, single_values
from msmtrec.logs.sources.settings.tables import Table
from msmtrec.logs.sources.side import THERE, Side
from msmtrec.logs.sources.tabular_parts import Part

_KEY, _OF = "__key.", "__of"


def read_side(
    name: str, table: Table, columns: Collection[str], uses: Uses, kinds: Mapping[str, str], settings: str
) -> Side:
    """A table's used columns, in memory.

    Args:
        columns: those that are used.
        kinds: column that an expression reads -> kind.
        settings: everything besides the files' contents that decides the rows.

    Raises:
        UserError: a file cannot be read, or a key stands in two rows.
    """
    roles, keys, wanted = uses.roles(kinds), table.keys, uses.columns(kinds)
    own = Roles(
        tuple(dict.fromkeys((*keys, *(c for c in roles.ids if c in columns)))),
        tuple(c for c in roles.numbers if c in columns),
        lists=tuple(feature for feature in roles.lists if feature.name in columns),
        vectors=tuple(c for c in roles.vectors if c in columns),
        missing=uses.missing,
        form=table.form,
    )
    read = {c: wanted[c] for c in columns} | dict.fromkeys(keys, "text")
    places = side_files.places(name, table)
    paths = tuple(path for group in places.values() for path in group)
    for path in paths:
        check_lines(path, form=table.form)

    def scanned(path: Path) -> pl.LazyFrame:
        return single_values(scan(path, read, uses.missing, table.form), own, path)

    frames = Frames.read(paths, scanned, own, settings)
    found = [_keyed(frames.together(group), keys, scenario, columns) for scenario, group in places.items()]
    by_scenario = "" not in places
    frame = collect(pl.concat(found, how="diagonal_relaxed"), *paths, form=table.form)
    _refuse_twice(name, frame, keys, by_scenario)
    frame = frame.with_columns(pl.lit(True).alias(THERE + name))
    return Side(
        name,
        frame if by_scenario else frame.drop(_OF),
        tuple(keys.values()),
        tuple(columns),
        paths=paths,
        whole=frames.whole,
        by_scenario=by_scenario,
    )


def _keyed(frame: pl.LazyFrame, keys: Mapping[str, str], scenario: str, columns: Iterable[str]) -> pl.LazyFrame:
    schema = frame.collect_schema()
    made = [as_text(pl.col(key), schema[key]).alias(f"{_KEY}{n}") for n, key in enumerate(keys)]
    names = [f"{_KEY}{n}" for n in range(len(keys))]
    return frame.select(*made, pl.lit(scenario).alias(_OF), *columns).drop_nulls(names)


def _refuse_twice(name: str, frame: pl.DataFrame, keys: Mapping[str, str], by_scenario: bool) -> None:
    names = [f"{_KEY}{n}" for n in range(len(keys))]
    twice = frame.group_by(*names, _OF, maintain_order=True).agg(times=pl.len()).filter(pl.col("times") > 1)
    if len(twice):
        row = twice.row(0, named=True)
        value = ", ".join(f"{key} {row[one]!r}" for key, one in zip(keys, names, strict=True))
        of = f" of scenario '{row[_OF]}'" if by_scenario else ""
        raise UserError(
            f"data.tables.{name}: {value} stands in {row['times']} rows{of} ({len(twice):,} such keys); a key must"
            " stand once, or rows would multiply"
        )


def joined(
    frame: pl.LazyFrame, sides: Sequence[Side], *, scenario: str | None = None, column: str | None = None
) -> pl.LazyFrame:
    """Rows with the columns of side tables, in the same order, and each table's mark.

    Args:
        scenario: the rows' scenario, or
        column: the column that names it.

    Raises:
        UserError: a table is chosen by a scenario that is not known before the table is joined.
    """
    for side in sides:
        kinds = frame.collect_schema()
        keys = [as_text(pl.col(one), kinds[one]).alias(f"{_KEY}{n}") for n, one in enumerate(side.on)]
        if side.by_scenario:
            if column is not None and column not in kinds:
                raise UserError(f"data.tables.{side.name}.files: '{column}' comes from a later table; put that first")
            keys.append((pl.lit(scenario) if column is None else as_text(pl.col(column), kinds[column])).alias(_OF))
        names = [key.meta.output_name() for key in keys]
        frame = frame.with_columns(keys)
        frame = frame.join(side.frame.lazy(), on=names, how="left", maintain_order="left").drop(names)
    return frame


def unmatched(parts: Sequence[Part], sides: Sequence[Side], settings: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(notes, warnings) on rows without a partner.

    Args:
        settings: everything besides the files' contents that decides the rows.
    """
    notes: list[str] = []
    warnings: list[str] = []
    for side in sides:

        def count(side: Side = side) -> list[str]:
            question = [pl.len().alias("rows"), pl.col(side.mark).null_count().alias("alone")]
            found = [collect(part.frame.select(question), *part.paths, form=part.form) for part in parts]
            return [str(sum(one[name][0] for one in found)) for name in ("rows", "alone")]

        files = snapshot((*(path for part in parts for path in part.paths), *side.paths))
        rows, alone = map(int, remembered(files, f"without a partner in {side.name} {settings}", count))
        if alone:
            share = f"{alone:,} of {rows:,} rows ({alone / rows:.1%}) have no partner in the table '{side.name}'"
            notes.append(f"{share}; its columns are missing there")
            if 2 * alone > rows:
                warnings.append(f"{share}: does {' with '.join(side.on)} mean the same there, written alike?")
    return tuple(notes), tuple(warnings)
