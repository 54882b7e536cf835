"""The arithmetic of the benchmarks: ratios, medians, verdicts, what is written and read again."""

import json
from pathlib import Path

import pytest
from harness import Alternative, Turns, middle, ratios
from results import Result, Results, count, figure, line, ratio, read


def test_ratios_are_of_neighbours_and_the_median_is_theirs() -> None:
    """A machine that is three times as slow in one turn is so for both."""
    turns = Turns({"ours": [cpu(1, 100), cpu(3, 100), cpu(1, 100)], "peer": [cpu(2, 100), cpu(6, 100), cpu(4, 100)]})
    assert turns.speeds("ours") == pytest.approx([100, 100 / 3, 100])
    assert turns.faster("ours", "peer") == pytest.approx([2, 2, 4])
    found = ratio("training", 2.0, turns, "ours", "peer")
    assert (found.measured, found.least, found.most) == pytest.approx((2, 2, 4))
    assert found.of == "ours"
    assert ratios([6.0, 1.0], [3.0, 2.0]) == [2.0, 0.5]
    assert middle([5.0, 1.0, 2.0, 9.0]) == (3.5, 1.0, 9.0)


def cpu(seconds: float, rows: int) -> dict[str, float]:
    return {"cpu": seconds, "rows": rows}


def test_turns_of_another_number_are_no_neighbours() -> None:
    with pytest.raises(ValueError):
        ratios([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("measured", "better", "verdict"),
    [
        (2.0, "more", "met"),
        (1.99, "more", "missed"),
        (2.0, "less", "met"),
        (2.01, "less", "missed"),
        (None, "more", "missed"),
    ],
)
def test_a_target_is_met_or_missed(measured: float | None, better: str, verdict: str) -> None:
    assert Result("x", 2.0, "x", measured, better=better).verdict == verdict  # type: ignore[arg-type]
    assert Result("x", None, "x", measured).verdict == ""


def test_what_is_missing_is_a_missed_target_and_says_why() -> None:
    turns = Turns({"peer": [cpu(1, 1)]}, {"ours": "unknown config key 'train.precision'"})
    found = ratio("bf16", 4.0, turns, "ours", "peer")
    assert found.verdict == "missed"
    assert line(found) == "missed · bf16 · wanted ≥ 4.00x · measured not there · unknown config key 'train.precision'"


def test_the_closing_line_counts_targets_only() -> None:
    held = [Result("a", 1.0, "x", 2.0), Result("b", 1.0, "x", 0.5), Result("c", None, "x", 9.0)]
    assert count(held) == "2 targets: 1 met, 1 missed"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(152_301.4, "rows", "152,301 rows"), (3.456, "x", "3.46x"), (0.04321, "s", "0.0432 s"), (None, "x", "not there")],
)
def test_figures_have_three_digits_that_count(value: float | None, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    results = Results("some", "Some", "About.", quick=False)
    results.add(Result("a", 1.0, "x", 2.0, 1.5, 2.5, note="so", of="ours"))
    results.know({"ours": Alternative("ours.py", {"steps": 3})})
    results.tables.append([["a", "b"], ["1", "2"]])
    results.write(tmp_path)
    found, machine = read(tmp_path / "some.json")
    assert found == results
    assert {"cpu", "cores", "instructions", "libraries", "load_after"} <= machine.keys()
    assert json.loads((tmp_path / "some.json").read_text())["alternatives"]["ours"]["script"] == "ours.py"
