"""Histories against plain loops over rows; and that no label of a row's own unit is ever in what it reads."""

from __future__ import annotations

import numpy as np
import pytest

from msmtrec.evaluation.metrics import auc
from msmtrec.statistics.fading import fading
from msmtrec.statistics.history import History, Labelled, Seen, counted, summed
from msmtrec.statistics.inputs import LIMIT, Found, Moments, read
from msmtrec.statistics.units import Units

UNITS, VALUES, TASKS = 5, 7, 2


def rows(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """values [N, 2] with padding, labels [N, T] with gaps, unit [N], weight [N]."""
    random = np.random.default_rng(seed)
    values = random.integers(0, VALUES, (count, 2)).astype(np.int32)
    values[random.random(count) < 0.3, 1] = -1
    labels = random.integers(0, 2, (count, TASKS)).astype(np.float32)
    labels[random.random((count, TASKS)) < 0.2] = np.nan
    return values, labels, random.integers(0, UNITS, count), random.random(count).astype(np.float32)


def by_hand(seed: int, value: int, reads: list[int]) -> np.ndarray:
    """[1 + 2·T] of a value over the units that are read, row by row."""
    values, labels, unit, weight = rows(seed)
    found = np.zeros(1 + 2 * TASKS)
    for own, label, day, share in zip(values, labels, unit, weight, strict=True):
        if day not in reads:
            continue
        for one in own:
            if one != value:
                continue
            found[0] += share
            for t in range(TASKS):
                if np.isnan(label[t]):
                    continue
                found[1 + t] += share
                found[1 + TASKS + t] += share * label[t]
    return found


def history(seed: int) -> History:
    values, labels, unit, weight = rows(seed)
    labelled = Labelled(labels, unit, weight)
    return counted(values, labelled, UNITS)


@pytest.mark.parametrize("value", range(VALUES))
def test_what_a_row_reads_is_what_earlier_rows_say(value: int) -> None:
    found, units = history(1), np.arange(UNITS + 2)
    values = np.full(len(units), value, np.int32)
    for unit, sums in zip(units, found.before(values, units), strict=True):
        np.testing.assert_allclose(sums, by_hand(1, value, list(range(unit))), atol=1e-5)
    np.testing.assert_allclose(found.ever(values[:1])[0], by_hand(1, value, list(range(UNITS))), atol=1e-5)


def test_blocks_without_an_order_leave_their_own_out() -> None:
    found = history(2)
    values, units = np.array([3, 3, 3], np.int32), np.array([0, 4, -1])
    for unit, sums in zip(units, found.without(values, units), strict=True):
        others = [other for other in range(UNITS) if other != unit]
        np.testing.assert_allclose(sums, by_hand(2, 3, others), atol=1e-5)


def test_what_never_occurred_has_no_history() -> None:
    found = history(3)
    unseen = np.array([VALUES, VALUES + 100], np.int32)
    assert not found.before(unseen, np.array([4, 4])).any()
    assert not found.ever(unseen).any()
    assert found.before(np.empty(0, np.int32), np.empty(0, np.int64)).shape == (0, 1 + 2 * TASKS)


def test_scenarios_add_up() -> None:
    both = summed([history(1), history(2)])
    values = np.arange(VALUES, dtype=np.int32)
    for unit in range(UNITS + 1):
        days = np.full(VALUES, unit)
        alone = history(1).before(values, days) + history(2).before(values, days)
        np.testing.assert_allclose(both.before(values, days), alone, atol=1e-12)
    with pytest.raises(ValueError, match="different units"):
        summed([history(1), History(UNITS + 1, both.keys, both.sums)])


def test_many_rows_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = history(4)
    monkeypatch.setattr("msmtrec.statistics.history._CHUNK", 17)
    parts = history(4)
    assert (parts.keys == whole.keys).all()
    np.testing.assert_allclose(parts.sums, whole.sums, atol=1e-12)


@pytest.mark.parametrize("decay", [1, 0.5])
def test_a_label_that_only_rows_of_the_same_day_reveal_gives_chance(decay: float) -> None:
    """Every item is good on one day and bad on the next: whoever reads its own day knows all labels."""
    random = np.random.default_rng(0)
    items, days = random.integers(0, 50, (20_000, 1)).astype(np.int32), random.integers(0, 40, 20_000)
    good = random.random((50, 40)) < 0.5
    labels = np.where(random.random(20_000) < 0.9, good[items[:, 0], days], random.random(20_000) < 0.5)
    labels = labels.astype(np.float32)[:, None]
    whole = counted(items, Labelled(labels, days), 40)
    found = fading({"": whole}, Units(np.arange(40), True), decay)[""]
    alone = np.arange(len(items))
    inputs = Found(found.before(items[:, 0], days), alone, len(items)).read(read)
    assert auc(inputs[:, 1], labels[:, 0]) == pytest.approx(0.5, abs=0.02)
    leaking = Found(found.before(items[:, 0], days + 1), alone, len(items)).read(read)
    assert auc(leaking[:, 1], labels[:, 0]) > 0.55


def test_inputs_of_one_value_and_of_several() -> None:
    sums = np.array([[0, 0, 0, 0, 0], [9, 5, 0, 2.5, 0]], float)
    one = read(sums, 20)
    np.testing.assert_allclose(one, [[0, 0, 0, 1], [np.log(10), 2.5 / 25, 0, 0]])
    found = Found(sums[[0, 1, 1]], np.array([0, 0, 1]), 3).read(read)  # two values, one, none
    np.testing.assert_allclose(found, [one.mean(0), one[1], one[0]])


def test_moments_add_up_and_standardise() -> None:
    random = np.random.default_rng(5)
    inputs = random.normal([3, -2, 7], [2, 0.1, 0], (500, 3))
    both = Moments.of(inputs[:200]) + Moments.of(inputs[200:])
    np.testing.assert_allclose(both.mean, inputs.mean(0))
    np.testing.assert_allclose(both.deviation[:2], inputs.std(0)[:2])
    found = both.standardised(np.vstack([inputs, [1e9, -1e9, 7]]))
    np.testing.assert_allclose(found[:500, :2].std(0), 1, atol=0.02)
    assert not found[:500, 2].any()
    assert found[-1].tolist() == [LIMIT, -LIMIT, 0]


def test_rates_are_of_labels_that_are_known_and_sums_above_them() -> None:
    labels = np.array([[1, np.nan], [0, np.nan], [1, 1], [np.nan, np.nan]], np.float32)
    rows = Labelled(labels, np.array([1, 1, 2, 3]), np.array([1, 1, 2, 5], np.float32))
    seen = Seen.of(rows, 5)
    assert seen.known.tolist() == [[0, 0], [2, 0], [2, 2], [0, 0], [0, 0]]
    assert seen.ups.tolist() == [[0, 0], [1, 0], [2, 2], [0, 0], [0, 0]]
    np.testing.assert_allclose(seen.rates, [3 / 4, 1])
    assert Seen.of(rows.take(slice(0, 0)), 2).rates.tolist() == [0, 0]
    values = np.array([[0], [1], [1], [1]], np.int32)
    found = counted(values, rows, 5).above(seen.rates).ever(np.array([0, 1], np.int32))
    np.testing.assert_allclose(found, [[1, 1, 0, 1 / 4, 0], [8, 3, 2, 2 - 9 / 4, 0]])


def test_other_numbers_for_values_and_units() -> None:
    found = history(5)
    swapped = found.renamed(np.array([1, 0, 2, -1, 4, 5, 6]))
    units = np.full(VALUES, 3)
    values = np.array([1, 0, 2, 3, 4, 5, 6], np.int32)
    wanted = found.before(values, units)
    wanted[3] = 0
    np.testing.assert_allclose(swapped.before(np.arange(VALUES, dtype=np.int32), units), wanted)
    one = found.moved(np.array([0, 0, -1, 0, 0]), 1)
    values = np.arange(VALUES, dtype=np.int32)
    np.testing.assert_allclose(one.ever(values), found.without(values, np.full(VALUES, 2)), atol=1e-12)
    assert (np.diff(one.keys) > 0).all()
