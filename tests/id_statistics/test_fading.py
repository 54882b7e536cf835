"""A day counts less than the day after it: against plain loops, over gaps, delays, long logs, files and later runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from id_statistics.test_encoded import FIELDS, logs, settings
from id_statistics.test_ledger import days, ledger
from id_statistics.test_served import same
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData, Rows
from msmtrec.statistics.counting import count_all, counted_of
from msmtrec.statistics.encoded import Statistics, with_statistics
from msmtrec.statistics.fading import Fading, fading
from msmtrec.statistics.fitting import Fitted, fit_all
from msmtrec.statistics.history import Labelled, counted
from msmtrec.statistics.ledger_files import load_ledger, save_ledger
from msmtrec.statistics.own import rows_of
from msmtrec.statistics.reach import reach
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.units import Units

DECAY = 0.7
GAPS = np.array([0, 1, 3, 4, 9, 10, 11, 30, 31, 33])
"""Day of each of the ten: some are far from the one before."""


@pytest.fixture(scope="module")
def data() -> EncodedData:
    """Ten days with gaps, the last two of which are validation's and test's; the third scenario has none of day 30."""
    found = encode(logs(), share=True)
    spread = {
        name: replace(
            table, splits={split: replace(part, unit=_spread(part.unit)) for split, part in table.splits.items()}
        )
        for name, table in found.tables.items()
    }
    name = found.scenarios[2]
    rows = spread[name].splits["train"]
    rows = rows.take(np.flatnonzero(rows.unit != 30))
    spread[name] = replace(
        spread[name],
        splits={**spread[name].splits, "train": rows},
        parts={**spread[name].parts, "train": {name: slice(0, len(rows))}},
    )
    return replace(found, tables=spread)


def _spread(unit: np.ndarray) -> np.ndarray:
    return GAPS[unit].astype(np.int32)


def fading_settings(**more: Any) -> StatisticsSettings:
    return settings(history="days", decay=DECAY, **more)


def by_hand(
    train: dict[str, Rows], names: tuple[str, ...], column: int, user: int, day: float, delay: int
) -> tuple[float, float, float]:
    """(rows, rows with the label, labels above the rate) of a user, of days that are known before `day`."""
    known = {int(one) for rows in train.values() for one in rows.unit if one < day - delay}
    rows, labelled, left = 0.0, 0.0, 0.0
    for name in names:
        own = train[name]
        rate = np.nanmean(own.labels[:, 0].astype(float))
        for n in range(len(own)):
            if own.table_ids[n, column] == user and own.unit[n] in known:
                weight = DECAY ** (max(known) - int(own.unit[n]))
                rows += weight
                if not np.isnan(own.labels[n, 0]):
                    labelled, left = labelled + weight, left + weight * (own.labels[n, 0] - rate)
    return rows, labelled, left


@pytest.mark.parametrize("delay", [0, 2, 7])
def test_what_a_row_reads_in_plain_loops(data: EncodedData, delay: int) -> None:
    """Own and summed: as it stands after the last day of any scenario that the row may read; later rows, after all."""
    fitted, scenarios = fit_all(data, fading_settings(delay=delay)), data.scenarios
    train = {name: data.tables[name].splits["train"] for name in scenarios}
    column = next(f for f in data.layout.fields if f.name == "user").start
    for name in scenarios[1:]:
        for split in SPLITS:
            rows = data.tables[name].splits[split]
            found = fitted[name].readout(rows if split == "train" else replace(rows, unit=None))
            for n in range(0, len(rows), 41):
                day = rows.unit[n] if split == "train" else np.inf
                for start, names in ((0, (name,)), (4, scenarios)):
                    count, labelled, left = by_hand(train, names, column, rows.table_ids[n, column], day, delay)
                    assert found[n, start] == pytest.approx(np.log1p(count))
                    assert found[n, start + 1] == pytest.approx(left / (labelled + 20), abs=1e-6)
                    assert found[n, start + 3] == (count == 0)


def test_a_decay_of_one_is_the_same_bits(data: EncodedData) -> None:
    every = [count_all(data, settings(history="days", **more)) for more in ({}, {"decay": 1})]
    plain, one = (found[data.scenarios[0]] for found in every)
    assert not any(isinstance(own, Fading) for own in [*one.common.values(), *one.own.values()])
    for name in data.scenarios:
        rows = rows_of(data, "train")[name]
        two = [fit_all(data, settings(history="days", **more))[name] for more in ({}, {"decay": 1.0})]
        np.testing.assert_array_equal(*(own(rows, data.layout.numeric).offset for own in two))
    history = plain.own["user"]
    values = np.unique(history.keys // history.units)
    close = fading({"user": history}, plain.units, 1 - 1e-12)["user"]
    np.testing.assert_allclose(close.ever(values), history.ever(values), atol=1e-6)
    for unit in range(history.units + 1):
        places = np.full(len(values), unit)
        np.testing.assert_allclose(close.before(values, places), history.before(values, places), atol=1e-6)


def test_threshold_is_of_rows_as_they_count(data: EncodedData) -> None:
    name, numeric = data.scenarios[0], 2 + len(data.layout.tasks)
    rows = data.tables[name].splits["test"]
    all_of_it, some = (fit_all(data, fading_settings(threshold=t))[name].readout for t in (0, 3))
    one, two = (own(replace(rows, unit=None))[:, :numeric] for own in (all_of_it, some))
    few = np.expm1(one[:, 0]) < 3
    assert few.any()
    assert not few.all()
    np.testing.assert_array_equal(two[~few], one[~few])
    assert (two[few] == np.array([0] * (numeric - 1) + [1])).all()


def test_a_long_log_neither_overflows_nor_loses_what_is_near() -> None:
    """2,000 days at a decay of a half: what is farther away than numbers reach counts 0."""
    days = np.arange(2000)
    values = np.array([[0 if day % 2 else 1] for day in days], np.int32)
    values[-1500:, 0] = np.where(values[-1500:, 0] == 1, 2, 0)  # value 1 is not seen for long
    labels = np.where(days % 3 == 0, 1, 0).astype(np.float32)[:, None]
    rows = Labelled(labels, days)
    units = Units(days.astype(np.int64), True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = fading({"": counted(values, rows, 2000)}, units, 0.5)[""]
        now = found.ever(np.arange(4, dtype=np.int32))
        middle = found.before(np.zeros(2000, np.int32), days)
    assert np.isfinite(now).all()
    assert now[0, 0] == pytest.approx(4 / 3)  # 1 + 1/4 + 1/16 + …
    assert now[2, 0] == pytest.approx(2 / 3)
    assert now[1].tolist() == now[3].tolist() == [0, 0, 0]
    wanted, expected = 0.0, []
    for day in days:  # as it stands after the day before
        expected.append(wanted)
        wanted = wanted / 2 + (values[day, 0] == 0)
    np.testing.assert_allclose(middle[:, 0], expected, rtol=1e-12)


def test_rows_without_a_time_are_too_long_ago(data: EncodedData) -> None:
    name = data.scenarios[0]
    rows = data.tables[name].splits["train"]
    early = replace(rows, unit=np.where(rows.unit == 0, -(2**31 - 1), rows.unit).astype(np.int32))
    units = Units.of([early], ordered=True)
    column = next(f for f in data.layout.fields if f.name == "user").start
    values = rows.table_ids[:, column : column + 1]
    users = np.unique(values)
    found, without = (
        fading({"": counted(ids, Labelled(labels, units.places(part)), len(units))}, units, DECAY)[""].ever(users)
        for ids, labels, part in (
            (values, rows.labels, early),
            (values[rows.unit > 0], rows.labels[rows.unit > 0], early.take(np.flatnonzero(rows.unit > 0))),
        )
    )
    np.testing.assert_allclose(found, without, atol=1e-12)


def test_a_rows_own_label_changes_nothing_of_what_it_reads(data: EncodedData) -> None:
    """Nor do labels of its day, as far as the scenario's rate stays."""
    name = data.scenarios[0]
    table = data.tables[name]
    rows = table.splits["train"]
    own = np.flatnonzero(rows.unit == 9)
    shuffled = rows.labels.copy()
    shuffled[own] = rows.labels[np.random.default_rng(0).permutation(own)]
    splits = {**table.splits, "train": replace(rows, labels=shuffled)}
    after = replace(data, tables={**data.tables, name: replace(table, splits=splits)})
    one, two = (fit_all(each, fading_settings())[name].readout(rows) for each in (data, after))
    np.testing.assert_array_equal(one[rows.unit <= 9], two[rows.unit <= 9])
    assert np.abs(one - two)[rows.unit > 9].max() > 0.01


@pytest.mark.parametrize(("wide", "inputs"), [("offset", True), ("none", True)])
def test_by_id_is_by_history(data: EncodedData, wide: str, inputs: bool) -> None:
    same(data, fading_settings(wide=wide, inputs=inputs))


def test_pooled_rows_read_what_a_federation_reads() -> None:
    """Which has one last day: sums stay plain sums."""
    apart, pooled = encode(logs(), share=True), encode(logs().pooled(), share=False)
    one, two = fit_all(apart, fading_settings()), fit_all(pooled, fading_settings())
    for split in SPLITS:
        for name, fitted in one.items():
            rows = rows_of(apart, split)[name], rows_of(pooled, split)[name]
            rows = rows if split == "train" else tuple(replace(own, unit=None) for own in rows)
            np.testing.assert_allclose(two[name].readout(rows[1]), fitted.readout(rows[0]), atol=1e-9)


def _reads(fitted: Fitted, rows: Rows) -> np.ndarray:
    return fitted.readout(replace(rows, unit=None))


def test_a_run_that_goes_on_has_the_tables_of_one_that_had_all_days(data: EncodedData, tmp_path: Path) -> None:
    """What is kept does not fade; what is read of it fades after the last day of all."""
    rows = rows_of(data, "train")
    before = {name: ledger(data, days(part, 0, 9)) for name, part in rows.items()}
    for name, found in before.items():
        save_ledger(tmp_path / name, found)
        before[name] = load_ledger(tmp_path / name)
    late = {name: np.flatnonzero(part.unit > 9) for name, part in rows.items()}
    tables = {
        name: replace(
            table,
            splits={**table.splits, "train": rows[name].take(late[name])},
            parts={**table.parts, "train": {name: slice(0, len(late[name]))}},
        )
        for name, table in data.tables.items()
    }
    newer = replace(data, tables=tables)
    chosen = fading_settings()
    whole, going = fit_all(data, chosen), fit_all(newer, chosen, before)
    for name in data.scenarios:
        test = data.tables[name].splits["test"]
        np.testing.assert_allclose(_reads(going[name], test), _reads(whole[name], test), atol=1e-12)
        one, two = whole[name].readout(rows[name]), going[name].readout(tables[name].splits["train"])
        np.testing.assert_allclose(two, one[late[name]], atol=1e-12)
    joining = data.scenarios[2]  # the others are there as ledgers alone
    others = {name: ledger(data, part) for name, part in rows.items() if name != joining}
    alone = replace(data, tables={joining: data.tables[joining]})
    test = data.tables[joining].splits["test"]
    found = fit_all(alone, chosen, others)[joining]
    np.testing.assert_allclose(_reads(found, test), _reads(whole[joining], test), atol=1e-12)


def test_rows_of_a_run_get_what_they_read(data: EncodedData) -> None:
    fitted = fit_all(data, fading_settings(inputs=True))
    found = with_statistics(data, Statistics(data.layout, fitted))
    for name, table in found.tables.items():
        for split, part in data.tables[name].splits.items():
            known = part if split == "train" else replace(part, unit=None)
            wanted = fitted[name](known, data.layout.numeric)
            np.testing.assert_array_equal(table.splits[split].offset, wanted.offset)
            np.testing.assert_array_equal(table.splits[split].numeric, wanted.numeric)


def test_refused_where_history_is_not_of_days(data: EncodedData) -> None:
    blocks = encode(logs(timed=False), share=True)
    with pytest.raises(UserError, match=r"statistics\.decay: 0\.7 is by days, and these logs have no times; set decay"):
        counted_of(blocks, settings(decay=DECAY))
    with pytest.raises(UserError, match=r"decay: 0\.7 is by days, and history: auto takes blocks here; set history: d"):
        fit_all(data, settings(decay=DECAY, delay=40))
    with pytest.raises(ValidationError, match=r"decay: 0\.7 is by days, and blocks have no order; set history: days"):
        settings(decay=DECAY, history="blocks")
    for decay in (0, -0.5, 1.1, float("nan")):
        with pytest.raises(ValidationError, match="decay"):
            settings(decay=decay)
    units = Units(np.arange(2), True)
    found = fading(
        {"": counted(np.zeros((1, 1), np.int32), Labelled(np.ones((1, 1), np.float32), np.zeros(1, int)), 2)},
        units,
        DECAY,
    )
    with pytest.raises(ValueError, match="without an order cannot fade"):
        found[""].without(np.zeros(1, np.int32), np.zeros(1, int))
    assert not counted_of(blocks, settings(decay=1)).units.ordered


def test_described(data: EncodedData) -> None:
    found = reach(data, fading_settings(delay=2))
    assert "each reads those more than 2 days before it, a day counts 0.7 of the next; without" in found.sentence()
    assert "counts" not in reach(data, settings(history="days")).sentence()
    assert found.fields == FIELDS
