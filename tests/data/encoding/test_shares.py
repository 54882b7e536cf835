"""What is said of the shares that a split came to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logs.sources.tabular import source
from msmtrec.data.encode import encode
from msmtrec.data.encoding.shares import split_notes, split_sentences
from msmtrec.data.logs import Logs
from msmtrec.data.table import EncodedData
from msmtrec.logs.sources.synthetic import Synthetic


def logs(folder: Path, users: dict[str, list[int]], split: dict[str, Any]) -> Logs:
    """`users`: scenario -> the rows of each user."""
    rows = [
        f"{scenario},{scenario}{user},{n % 2}" + "\n"
        for scenario, sizes in users.items()
        for user, size in enumerate(sizes)
        for n in range(size)
    ]
    path = folder / "logs.csv"
    path.write_text("tab,user,click\n" + "".join(rows))
    features = {"user": None}
    return source(path, scenario="tab", features=features, group=..., split=split, allow_one_class=True).load()


def data(folder: Path, users: dict[str, list[int]], split: dict[str, Any]) -> EncodedData:
    return encode(logs(folder, users, split), share=False)


def test_logs_of_others_were_asked_for_nothing() -> None:
    found = encode(Synthetic(scenarios=1, rows=600, users=60, items=40).load(), share=False)
    assert [*split_notes(found), *split_sentences(found)] == []


def test_shares_as_asked_are_told_and_no_warning(tmp_path: Path) -> None:
    found = data(tmp_path, {"a": [100], "b": [50]}, {"fractions": [0.8, 0.1, 0.1]})
    assert list(split_notes(found)) == [
        "the split: 80 / 10 / 10 % training / validation / test rows (asked: 80 / 10 / 10 %)"
    ]
    assert list(split_sentences(found)) == []


def test_what_is_not_divided_is_counted_and_judged_apart(tmp_path: Path) -> None:
    split = {"fractions": [0.8, 0.1, 0.1], "within": "user", "min_rows": 10}
    found = data(tmp_path, {"a": [40, 9, 9, 9, 3], "b": [30]}, split)
    assert list(split_notes(found)) == [
        "the split: 86 / 7 / 7 % training / validation / test rows (asked: 80 / 10 / 10 %); 30 of the rows train only,"
        " those of values of 'user' with fewer than 10 rows; of the others 80 / 10 / 10 %"
    ]
    assert list(split_sentences(found)) == []
    (sentence,) = split_sentences(data(tmp_path, {"a": [40, *[9] * 8], "b": [20]}, split | {"min_rows": 11}))
    assert sentence == (
        "72 of 132 rows train only, those of values of 'user' with fewer than 11 rows: validation and test rows are"
        " about the rest"
    )


def test_last_has_no_shares_to_come_to(tmp_path: Path) -> None:
    found = data(tmp_path, {"a": [10, 2], "b": [5, 4]}, {"last": 2, "within": "user"})
    assert list(split_notes(found)) == [
        "the split: 61.9 / 19 / 19 % training / validation / test rows; 6 of the rows train only, those of values"
        " of 'user' with fewer than 5 rows"
    ]
    assert list(split_sentences(found)) == []


def test_bounds_that_divide_scenarios_differently(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    path.write_text(
        "tab,user,click,at\n"
        + "".join(f"a,u,{n % 2},{n}\n" for n in range(100))
        + "".join(f"b,u,{n % 2},{n}\n" for n in range(50, 100))
    )
    split = {"time": "at", "train_until": 69, "validation_until": 84}
    found = encode(source(path, scenario="tab", features={"user": None}, group=..., split=split).load(), share=False)
    assert list(split_notes(found)) == [
        "the split: 60 / 20 / 20 % training / validation / test rows; scenarios that differ: 'b' 40 / 30 / 30 %,"
        " 'a' 70 / 15 / 15 %"
    ]
    assert list(split_sentences(found)) == []


@pytest.mark.parametrize(
    ("counts", "off"),
    [((800, 100, 100), False), ((780, 100, 120), False), ((779, 100, 121), True), ((14, 2, 5), False)],
)
def test_a_split_is_off_beyond_a_fifth_of_its_rows_and_three_rows(
    counts: tuple[int, int, int], off: bool, tmp_path: Path
) -> None:
    """A random split's shares are those drawn; the encoded rows are made to say what was asked."""
    part = ["train"] * counts[0] + ["validation"] * counts[1] + ["test"] * counts[2]
    path = tmp_path / "logs.csv"
    path.write_text("tab,user,click,part\n" + "".join(f"a,u,{n % 2},{one}\n" for n, one in enumerate(part)))
    own = source(path, scenario="tab", features={"user": None}, group=..., split={"column": "part"}).load()
    asked = source(path, scenario="tab", features={"user": None}, group=..., split={"fractions": [0.8, 0.1, 0.1]})
    found = encode(replace(own, asked=asked.split.asked()), share=False)
    assert bool(list(split_sentences(found))) is off


def test_shares_that_are_not_as_asked(tmp_path: Path) -> None:
    """All rows of a user are in one split, and one has most of them."""
    split = {"random": [0.6, 0.2, 0.2], "seed": 0, "within": "user"}
    found = data(tmp_path, {"a": [400, *[10] * 20]}, split)
    counts = [len(found.whole[name]) for name in ("train", "validation", "test")]
    shares = " / ".join(f"{100 * count / 600:.3g}" for count in counts)
    first, second = split_sentences(found)
    assert first.startswith("the split is random: test rows are those of a few values of 'user', none of which")
    assert second == (
        f"the split has {shares} % training / validation / test rows, where 60 / 20 / 20 % were asked; ask for other"
        " shares or another split.seed, or take it as it is"
    )


def test_the_scenario_that_is_off_is_named(tmp_path: Path) -> None:
    split = {"random": [0.6, 0.2, 0.2], "seed": 1, "within": "user"}
    found = data(tmp_path, {"a": [5] * 600, "b": [10] * 30}, split)
    (_, sentence) = split_sentences(found)
    assert "has 70 / 16.7 / 13.3 % training / validation / test rows in scenario 'b', where 60 / 20 / 20 %" in sentence


def test_a_random_split_is_no_split_by_time(tmp_path: Path) -> None:
    (sentence,) = split_sentences(data(tmp_path, {"a": [4000]}, {"random": [0.6, 0.2, 0.2]}))
    assert sentence.startswith("the split is random: test rows are as old as training rows, and rows of one visit")


def test_a_cache_and_pooled_rows_say_the_same(tmp_path: Path) -> None:
    split = {"fractions": [0.6, 0.2, 0.2], "within": "user", "min_rows": 10}
    own = logs(tmp_path, {"a": [40, 9, 9], "b": [30, 3]}, split)
    there = [list(split_notes(encode(own, share=False, cache=tmp_path / "cache"))) for _ in range(2)]
    assert there[0] == there[1] == list(split_notes(encode(own.pooled(), share=False)))
    assert "21 of the rows train only" in there[0][0]
