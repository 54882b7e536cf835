"""Statistics of whole data sets: what every row reads, and that nothing of it is from its own time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.encoding.units import blocks
from msmtrec.data.logs import SPLIT, SPLITS, Logs, in_memory
from msmtrec.data.table import EncodedData, Rows
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.statistics.counting import counted_of
from msmtrec.statistics.encoded import Statistics, with_statistics
from msmtrec.statistics.fitting import fit_all
from msmtrec.statistics.own import rows_of
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.units import Depth

FIELDS = ("user", "item")


def logs(timed: bool = True) -> Logs:
    """Three scenarios over ten days, the last two of which are validation's and test's."""
    plain = Synthetic(scenarios=3, rows=(900, 400, 600), users=60, items=40).load()
    frames = {}
    for name in plain.schema.scenarios:
        rows = plain.frame(name)
        day = np.sort(np.arange(rows.height) % 10)
        split = np.where(day < 8, "train", np.where(day == 8, "validation", "test"))
        frames[name] = rows.with_columns(pl.Series("day", day), pl.Series(SPLIT, split))
    return replace(plain, stream=in_memory(frames), time="day" if timed else None, fingerprint=str(timed))


@pytest.fixture(scope="module")
def data() -> EncodedData:
    return encode(logs(), share=True)


def settings(**more: Any) -> StatisticsSettings:
    return StatisticsSettings(**{"fields": FIELDS, **more})


def test_what_a_row_reads_in_plain_loops(data: EncodedData) -> None:
    """Click residuals of the user, own and summed, of one scenario's rows; all but training rows read everything."""
    fitted, scenarios = fit_all(data, settings()), data.scenarios
    field = next(f for f in data.layout.fields if f.name == "user")
    assert field.shared
    train = {name: data.tables[name].splits["train"] for name in scenarios}

    def by_hand(user: int, day: int, names: tuple[str, ...]) -> tuple[int, float]:
        rows, left = 0, 0.0
        for name in names:
            users, labels, days = train[name].table_ids[:, field.start], train[name].labels[:, 0], train[name].unit
            for n in np.flatnonzero((users == user) & (days < day)):
                rows, left = rows + 1, left + labels[n] - labels.mean()
        return rows, left

    name = scenarios[1]
    for split in SPLITS:
        rows = data.tables[name].splits[split]
        read = fitted[name].readout(rows if split == "train" else replace(rows, unit=None))
        assert read.shape == (len(rows), 2 * 2 * 4)
        for n in range(0, len(rows), 37):
            for start, names in ((0, (name,)), (4, scenarios)):
                count, left = by_hand(rows.table_ids[n, field.start], rows.unit[n], names)
                assert read[n, start] == pytest.approx(np.log1p(count))
                assert read[n, start + 1] == pytest.approx(left / (count + 20), abs=1e-5)
                assert read[n, start + 3] == (count == 0)


@pytest.mark.parametrize("timed", [True, False])
def test_a_rows_own_label_changes_nothing_of_what_it_reads(timed: bool) -> None:
    """Nor do labels of its unit, as far as the scenario's rate stays; nor any of validation and test rows at all."""
    before = encode(logs(timed), share=True)
    name = before.scenarios[0]
    rows = before.tables[name].splits["train"]
    unit = rows.unit[len(rows) // 2]
    own = np.flatnonzero(rows.unit == unit)
    shuffled = rows.labels.copy()
    shuffled[own] = rows.labels[np.random.default_rng(0).permutation(own)]
    assert (shuffled != rows.labels).any()
    table = before.tables[name]
    others = {split: replace(part, labels=1 - part.labels) for split, part in table.splits.items()}
    splits = {**others, "train": replace(rows, labels=shuffled)}
    after = replace(before, tables={**before.tables, name: replace(table, splits=splits)})
    one, two = (fit_all(each, settings())[name].readout(rows) for each in (before, after))
    same = rows.unit <= unit if timed else rows.unit == unit
    np.testing.assert_allclose(one[same], two[same], atol=1e-12)
    assert np.abs(one - two)[~same].max() > 0.01


def test_labels_that_are_known_late_are_read_late(data: EncodedData) -> None:
    name = data.scenarios[0]
    rows = data.tables[name].splits["train"]
    late = fit_all(data, settings(delay=3, history="days"))[name].readout(rows)
    early = fit_all(data, settings())[name].readout(replace(rows, unit=rows.unit - 3))
    np.testing.assert_allclose(late, early)


def test_without_sharing_there_are_own_tables_alone(data: EncodedData) -> None:
    own, summed = (fit_all(data, settings(summed=kind)) for kind in (False, True))
    name = data.scenarios[0]
    rows = data.tables[name].splits["test"]
    np.testing.assert_allclose(own[name].readout(rows)[:, :4], summed[name].readout(rows)[:, :4])
    private = fit_all(encode(logs(), share=False), settings())
    assert private[name].readout.width == own[name].readout.width == 8


def test_days_or_blocks(data: EncodedData) -> None:
    """Blocks where later rows are not of later days, or where most training rows are of the first."""
    assert counted_of(data, settings()).units.ordered
    assert not counted_of(data, settings(history="blocks")).units.ordered
    assert not counted_of(encode(logs(timed=False), share=True), settings()).units.ordered
    with pytest.raises(UserError, match=r"statistics\.history: days, but these logs have no times"):
        counted_of(encode(logs(timed=False), share=True), settings(history="days"))
    train, later = rows_of(data, "train"), rows_of(data, "validation")

    def follow(train: Mapping[str, Rows], later: Mapping[str, Rows], delay: int = 0) -> bool:
        return sum((Depth.of(rows, later[name], delay) for name, rows in train.items()), Depth()).reaches

    assert follow(train, later)
    assert not follow(train, {name: replace(rows, unit=rows.unit - 5) for name, rows in later.items()})
    assert not follow({name: replace(rows, unit=rows.unit // 5) for name, rows in train.items()}, later)
    assert not follow(train, later, delay=6)
    few = rows_of(data, "train")[data.scenarios[0]].take(np.arange(30))
    tiny = replace(few, unit=np.full(30, 7, np.int32))  # all on one day: 30 rows of 1,500 decide nothing
    assert follow({**train, "tiny": tiny}, {**later, "tiny": few})
    read = fit_all(data, settings(history="blocks"))
    name = data.scenarios[0]
    rows = train[name]
    field = next(f for f in data.layout.fields if f.name == "user")
    users, own = rows.table_ids[:, field.start], blocks(replace(rows, ids=rows.table_ids, used=None))
    wanted = [((users == user) & (own != block)).sum() for user, block in zip(users, own, strict=True)]
    np.testing.assert_allclose(np.expm1(read[name].readout(rows)[:, 0]), wanted)
    found = with_statistics(data, Statistics(data.layout, read)).tables[name].splits
    for split, part in data.tables[name].splits.items():
        known = part if split == "train" else replace(part, unit=None)  # in no block, whatever they hold
        np.testing.assert_array_equal(found[split].offset, read[name](known, data.layout.numeric).offset)


@pytest.mark.parametrize("inputs", [False, True])
def test_rows_get_a_logit_and_inputs(data: EncodedData, inputs: bool) -> None:
    fitted = fit_all(data, settings(inputs=inputs))
    found = with_statistics(data, Statistics(data.layout, fitted))
    more = 16 if inputs else 0
    assert found.layout.numeric == data.layout.numeric + more
    start = 0
    for name, table in found.tables.items():
        for split, rows in table.splits.items():
            before = data.tables[name].splits[split]
            assert rows.offset is not None
            assert rows.offset.shape == rows.labels.shape
            assert rows.numeric.shape[1] == before.numeric.shape[1] + more
            np.testing.assert_array_equal(rows.ids, before.ids)
            if split == "train":
                stop = start + len(rows)
                np.testing.assert_array_equal(found.whole["train"].offset[start:stop], rows.offset)
                np.testing.assert_array_equal(found.whole["train"].numeric[start:stop], rows.numeric)
                start = stop
                new = fitted[name].readout(before, fitted[name].moments)[before.unit > before.unit.min()]
                assert np.abs(new.mean(0)).max() < 0.1
                rate = 1 / (1 + np.exp(-rows.offset[before.unit > 0].astype(float)))
                np.testing.assert_allclose(rate.mean(0), before.labels[before.unit > 0].mean(0), atol=1e-3)
    if inputs:
        without = Statistics(data.layout, fit_all(data, settings(inputs=True, wide="none")))
        assert with_statistics(data, without).whole["train"].offset is None


def test_fields_by_name_and_by_size(data: EncodedData) -> None:
    assert [field.name for field in counted_of(data, StatisticsSettings(least=35)).fields] == ["user", "item"]
    with pytest.raises(UserError, match=r"statistics\.fields: there is no field 'use' with ids; did you mean 'user'\?"):
        counted_of(data, StatisticsSettings(fields=("use",)))
    with pytest.raises(UserError, match="no field has 100000 values or more among a scenario's training rows"):
        counted_of(data, StatisticsSettings(least=100_000))


def test_pooled_rows_read_what_a_federation_that_agreed_on_all_ids_reads(data: EncodedData) -> None:
    """Each scenario's own counts, and their sums: rates and moments are its own there too."""
    pooled = encode(logs().pooled(), share=False)
    (table,) = pooled.tables.values()
    one, two = fit_all(data, settings()), fit_all(pooled, settings())
    assert one.keys() == two.keys() == set(data.scenarios)
    for split in SPLITS:
        apart, together = rows_of(data, split), rows_of(pooled, split)
        for name, fitted in one.items():
            rows = (apart[name], together[name])
            rows = rows if split == "train" else tuple(replace(own, unit=None) for own in rows)
            wanted, found = fitted.readout(rows[0], fitted.moments), two[name].readout(rows[1], two[name].moments)
            np.testing.assert_allclose(found, wanted, atol=1e-9)
    private = settings(fields=("segment",))  # apart in pooled rows too, so that a sum would be the scenario's own
    assert (
        fit_all(pooled, private)[data.scenarios[0]].readout.width
        == fit_all(data, private)[data.scenarios[0]].readout.width
        == 4
    )
    whole = with_statistics(pooled, Statistics(pooled.layout, two)).tables[table.scenario].splits["train"]
    for name, part in table.parts["train"].items():
        alone = two[name](table.splits["train"].take(part), pooled.layout.numeric)
        np.testing.assert_array_equal(whole.offset[part], alone.offset)


def test_moments_of_own_counts_stay_and_those_of_sums_are_everybodys(data: EncodedData) -> None:
    fitted, rows = fit_all(data, settings()), rows_of(data, "train")
    read = {name: own.readout(rows[name])[rows[name].unit > 0] for name, own in fitted.items()}
    everybody = np.concatenate(list(read.values()))
    for name, own in fitted.items():
        assert own.readout.summed.tolist() == ([False] * 4 + [True] * 4) * 2
        np.testing.assert_allclose(
            own.moments.mean, np.where(own.readout.summed, everybody.mean(0), read[name].mean(0))
        )


def test_a_scenario_of_one_day_learns_from_all_its_rows(data: EncodedData) -> None:
    """Its own counts are empty then, the others' are not; and its rate is its rate."""
    name = data.scenarios[2]
    table = data.tables[name]
    rows = table.splits["train"]
    splits = {**table.splits, "train": replace(rows, unit=np.full(len(rows), 7, np.int32))}
    tables = {**data.tables, name: replace(table, splits=splits)}
    fitted = fit_all(replace(data, tables=tables), settings(history="days"))[name]
    found = fitted(splits["train"], data.layout.numeric).offset
    rate = 1 / (1 + np.exp(-found.astype(float)))
    np.testing.assert_allclose(rate.mean(0), rows.labels.mean(0), atol=1e-3)
    assert rate.std(0).min() > 0.01
