"""Rows of two runs count as those of one: nothing twice, nothing lost, old ids in new tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from id_statistics.test_encoded import FIELDS, logs, settings
from msmtrec.base.errors import UserError
from msmtrec.base.feature import UNKNOWN_ID
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.encoding.growing import private_places
from msmtrec.data.logs import SPLIT, in_memory
from msmtrec.data.table import EncodedData, Field, Rows
from msmtrec.statistics.fitting import fit_all
from msmtrec.statistics.ledger import EARLIER, Ledger
from msmtrec.statistics.ledger_files import load_ledger, save_ledger
from msmtrec.statistics.own import rows_of
from msmtrec.statistics.units import Units


@pytest.fixture(scope="module")
def data() -> EncodedData:
    return encode(logs(), share=True)


def fields(data: EncodedData) -> list[Field]:
    return [field for field in data.layout.fields if field.name in FIELDS]


def ledger(data: EncodedData, rows: Rows, before: Ledger | None = None) -> Ledger:
    numbers = [] if before is None else [before.numbers]
    units = Units.of([rows], ordered=data.ordered, before=numbers)
    found = Ledger.of(rows, fields(data), units)
    return found if before is None else before.at(units.numbers) + found


def same(one: Ledger, other: Ledger) -> None:
    np.testing.assert_array_equal(one.numbers, other.numbers)
    np.testing.assert_allclose(one.seen.ups, other.seen.ups)
    np.testing.assert_allclose(one.seen.known, other.seen.known)
    assert one.fields.keys() == other.fields.keys()
    for name, history in one.fields.items():
        np.testing.assert_array_equal(history.keys, other.fields[name].keys)
        np.testing.assert_allclose(history.sums, other.fields[name].sums, atol=1e-9)


def days(rows: Rows, first: int, last: int) -> Rows:
    return rows.take(np.flatnonzero((rows.unit >= first) & (rows.unit <= last)))


def test_rows_of_two_runs_are_those_of_one(data: EncodedData) -> None:
    rows = rows_of(data, "train")[data.scenarios[0]]
    early, late = days(rows, 0, 3), days(rows, 4, 7)
    before = ledger(data, early).without(late.unit)
    same(ledger(data, late, before), ledger(data, rows))


def test_days_that_both_have_count_once(data: EncodedData) -> None:
    """As logs of a moving window have them: days 0 to 5, then 3 to 7."""
    rows = rows_of(data, "train")[data.scenarios[0]]
    early, late = days(rows, 0, 5), days(rows, 3, 7)
    before = ledger(data, early).without(late.unit)
    assert before.numbers.tolist() == [0, 1, 2]
    same(ledger(data, late, before), ledger(data, rows))


def test_without_an_order_all_of_an_earlier_run_is_read() -> None:
    data = encode(logs(timed=False), share=True)
    name = data.scenarios[0]
    rows = rows_of(data, "train")[name]
    before = {n: ledger(data, part).as_one() for n, part in rows_of(data, "train").items()}
    assert before[name].numbers.tolist() == [EARLIER]
    alone, after = fit_all(data, settings())[name], fit_all(data, settings(), before)[name]
    users = rows.table_ids[:, fields(data)[0].start]
    counts = {user: (users == user).sum() for user in np.unique(users)}
    old, new = (np.expm1(each.readout(rows)[:, 0]) for each in (alone, after))
    np.testing.assert_allclose(new - old, [counts[user] for user in users])


def test_blocks_that_no_training_row_is_in_shift_nothing() -> None:
    """A row leaves out its own block, whichever others there are."""
    data = encode(logs(timed=False), share=True)
    name = data.scenarios[0]
    table = data.tables[name]
    rows = table.splits["train"]
    kept = rows.take(np.flatnonzero((rows.unit > 3) & (rows.unit != 9)))
    tables = {
        name: replace(
            table, splits={**table.splits, "train": kept}, parts={**table.parts, "train": {name: slice(0, len(kept))}}
        )
    }
    read = fit_all(replace(data, tables=tables), settings())[name].readout(kept)
    users = kept.table_ids[:, fields(data)[0].start]
    wanted = [((users == user) & (kept.unit != unit)).sum() for user, unit in zip(users, kept.unit, strict=True)]
    np.testing.assert_allclose(np.expm1(read[:, 0]), wanted)


def test_private_ids_keep_their_history_when_the_vocabulary_grows() -> None:
    plain = logs()
    name = next(iter(plain.schema.scenarios))
    frame = plain.frame(name)
    early = frame.filter(pl.col("day") < 4).with_columns(pl.lit("train").alias(SPLIT))
    early = pl.concat(
        [early, *(early.head(40).with_columns(pl.lit(split).alias(SPLIT)) for split in ("validation", "test"))]
    )
    grown = frame.with_columns(
        user=pl.when(pl.col("day") > 5)
        .then("a" + pl.col("user").cast(pl.String))
        .otherwise(pl.col("user").cast(pl.String))
    )
    early = early.with_columns(pl.col("user").cast(pl.String))
    schema = replace(plain.schema, scenarios={name: plain.schema.scenarios[name]})
    old, new = (
        encode(replace(plain, schema=schema, stream=in_memory({name: rows}), fingerprint=text), share=False)
        for rows, text in ((early, "early"), (grown, "grown"))
    )
    before, now = encoder_of(old, name), encoder_of(new, name)
    places = private_places(before, now)
    found = ledger(old, rows_of(old, "train")[name]).by(places)
    field = next(field for field in new.layout.fields if field.name == "user")
    rows = rows_of(new, "train")[name]
    first = days(rows, 0, 3)
    same(replace(found, fields={"user": found.fields["user"]}), _alone(ledger(new, first), "user"))
    unknown = (encoder.offsets[field.name] + UNKNOWN_ID for encoder in (before, now))
    assert places["user"][next(unknown)] == next(unknown)  # not a value's that is new, which begins as it


def _alone(ledger: Ledger, name: str) -> Ledger:
    return replace(ledger, fields={name: ledger.fields[name]})


def test_as_a_file(data: EncodedData, tmp_path: Path) -> None:
    found, path = ledger(data, rows_of(data, "train")[data.scenarios[1]]), tmp_path / "some.safetensors"
    save_ledger(path, found)
    same(load_ledger(path), found)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"some\.safetensors is missing or damaged"):
        load_ledger(path)
    with pytest.raises(UserError, match="missing or damaged"):
        load_ledger(tmp_path / "none")
