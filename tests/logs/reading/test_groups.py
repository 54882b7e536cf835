"""Groups cut in three: by hand, chunk by chunk, in file order as in time order."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmtrec.data.hashing import drawn, stable_hash
from msmtrec.data.logs import FEW, SPLIT, SPLITS
from msmtrec.logs.reading.groups import InTimeOrder, Shares, cut, numbered
from msmtrec.logs.reading.rule import Rule
from msmtrec.logs.reading.split import by_fractions

RANDOM = np.random.default_rng(0)
ROWS = pl.DataFrame(
    {
        "user": [None if n == 3 else f"u{n}" for n in RANDOM.integers(0, 40, 3000).tolist()],
        "tab": RANDOM.integers(0, 3, 3000),
        "row": np.arange(3000),
    }
)


def by_order(rows: pl.DataFrame, rule: Rule, keys: list[str], size: int = 1000) -> pl.DataFrame:
    chunks = [rows.slice(start, size) for start in range(0, rows.height, size)]
    label = Shares.counted(keys, rule, chunks).labeller()
    return pl.concat([label(chunk) for chunk in chunks])


def by_time(rows: pl.DataFrame, rule: Rule, keys: list[str], size: int = 1000) -> pl.DataFrame:
    found = InTimeOrder(keys, rule)
    for start in range(0, rows.height, size):
        found.add(rows[start : start + size], "time")
    return numbered(rows, found.places())


def splits(sizes: dict[str, int], rule: Rule) -> dict[str, tuple[int, int, int]]:
    """Value -> its training, validation and test rows, which follow each other in this order."""
    rows = pl.DataFrame({"user": [name for name, size in sizes.items() for _ in range(size)]})
    found = {}
    for (name,), own in by_order(rows, rule, ["user"]).group_by("user", maintain_order=True):
        order = own[SPLIT].to_list()
        train, validation, test = (order.count(split) for split in SPLITS)
        assert order == ["train"] * train + ["validation"] * validation + ["test"] * test
        found[str(name)] = (train, validation, test)
    return found


@pytest.mark.parametrize("keys", [[], ["user"], ["user", "tab"]])
@pytest.mark.parametrize("size", [1, 333, 3000])
def test_chunk_by_chunk_is_the_same_as_at_once(keys: list[str], size: int) -> None:
    rows = ROWS.head(300) if size == 1 else ROWS
    chunks = [rows.slice(start, size) for start in range(0, rows.height, size)]
    shares = Shares.counted(keys, Rule((0.7, 0.2, 0.1)), chunks)
    for _ in range(2):  # a log is read more than once
        label = shares.labeller()
        found = pl.concat([label(chunk) for chunk in chunks])
        assert found.drop(FEW).equals(by_fractions(rows, (0.7, 0.2, 0.1), keys or None))


@pytest.mark.parametrize("size", [1, 4, 6])
def test_over_many_small_groups_fractions_come_out_as_asked(size: int) -> None:
    """Rounded to the nearest row, users of six had 5, 0 and 1 rows, and those of four 3, 1 and 0."""
    found = splits({f"u{n}": size for n in range(3000)}, Rule((0.8, 0.1, 0.1), within="user"))
    counts = np.array(list(found.values()))
    assert counts.sum(0) / counts.sum() == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    for bound, share in ((counts[:, 0], 0.8), (counts[:, :2].sum(1), 0.9)):
        assert set(bound) == {int(size * share), int(size * share) + 1}  # each is one of the two nearest


def test_bounds_by_hand() -> None:
    """Ten rows of .8, .1 and .1 need no rounding; six do, by what is drawn for the user."""
    rule = Rule((0.8, 0.1, 0.1), within="user")
    assert splits({"a": 10, "b": 10, "c": 20}, rule) == {"a": (8, 1, 1), "b": (8, 1, 1), "c": (16, 2, 2)}
    groups = pl.DataFrame({"user": ["b"], "__rows": [6]})
    (u,) = drawn(stable_hash(["rounding b"]))
    assert cut(rule, groups).row(0)[2:4] == (int(4.8 + u), int(5.4 + u))


def test_a_groups_bounds_depend_on_nothing_else() -> None:
    rule = Rule((0.6, 0.2, 0.2), within="user")
    alone = splits({"u7": 7}, rule)["u7"]
    assert splits({f"u{n}": 7 for n in range(9)}, rule)["u7"] == alone
    rows = pl.DataFrame({"user": ["u7"] * 14, "tab": [0, 1] * 7})
    both = by_order(rows, rule, ["tab", "user"])
    assert both.filter(tab=1)[SPLIT].to_list() == by_order(rows.filter(tab=1), rule, ["user"])[SPLIT].to_list()


def test_groups_with_few_rows_train_only() -> None:
    rule = Rule((0.8, 0.1, 0.1), within="user", min_rows=10)
    assert splits({"a": 9, "b": 10, "c": 1}, rule) == {"a": (9, 0, 0), "b": (8, 1, 1), "c": (1, 0, 0)}
    rows = pl.DataFrame({"user": ["a"] * 2 + ["b"] * 10})
    assert by_order(rows, rule, ["user"])[FEW].to_list() == [True] * 2 + [False] * 10


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (Rule(last=1, within="user"), {"a": (3, 1, 1), "b": (2, 0, 0), "c": (1, 1, 1)}),
        (Rule(last=2, within="user"), {"a": (1, 2, 2), "b": (2, 0, 0), "c": (3, 0, 0)}),
        (Rule(last=1, within="user", min_rows=4), {"a": (3, 1, 1), "b": (2, 0, 0), "c": (3, 0, 0)}),
    ],
)
def test_the_last_rows_of_each_group(rule: Rule, found: dict[str, tuple[int, int, int]]) -> None:
    assert splits({"a": 5, "b": 2, "c": 3}, rule) == found


RULES = st.builds(
    lambda shares, within, least: Rule(shares, within="user" if within else None, min_rows=least if within else 0),
    st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (1 / 3, 1 / 3, 1 / 3)]),
    st.booleans(),
    st.integers(0, 5),
) | st.builds(
    lambda last, more: Rule(last=last, within="user", min_rows=2 * last + 1 + more),
    st.integers(1, 2),
    st.integers(0, 3),
)


@settings(deadline=None, max_examples=60)
@given(
    users=st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(0, 4)), min_size=1, max_size=30),
    rule=RULES,
    by_scenario=st.booleans(),
    size=st.integers(1, 31),
)
def test_time_order_obeys_the_rules_of_file_order(
    users: list[tuple[str | None, int]], rule: Rule, by_scenario: bool, size: int
) -> None:
    """Rows divided by time are those divided in file order once they are sorted by it; they stay where they are."""
    keys = [*(["tab"] if by_scenario else []), *(["user"] if rule.within else [])]
    kinds = {"user": pl.String, "time": pl.Int64}
    rows = pl.DataFrame(users, schema=kinds, orient="row").with_row_index("row").with_columns(tab=pl.col("row") % 2)
    expected = by_order(rows.sort("time", maintain_order=True), rule, keys, size).sort("row")
    found = by_time(rows, rule, keys, size)
    assert found.equals(expected)
    assert found.filter(FEW)[SPLIT].unique().to_list() in ([], ["train"])
