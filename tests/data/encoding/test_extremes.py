"""One absurd value is named or clipped; it never deletes a scenario or a column without a word."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner
from yaml import safe_dump

import msmtrec
from logs.sources.tabular import source
from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.cli.main import app
from msmtrec.data.encode import encode
from msmtrec.data.encoding.extremes import LARGEST, Ends, check_sizes, oddities
from msmtrec.data.encoding.scaling import Moments, Quantile
from msmtrec.data.logs import POOLED, SPLIT, Chunk, Logs, in_memory
from msmtrec.data.table import EncodedData

N = 40
BIGGEST = float(np.finfo(np.float32).max)
FRAME = pl.DataFrame(
    {
        "price": [float(n % 7) for n in range(N)],
        "click": [n % 3 % 2 for n in range(N)],
        SPLIT: [("train", "train", "validation", "test")[n % 4] for n in range(N)],
    }
)
"""Rows 1 and 2 are training rows, row 3 is a validation row, row 4 a test row, and so on."""


def logs(*values: tuple[int, float | None], **options: Any) -> Logs:
    """Scenario a as it is; in b, some rows (counted from 1) hold other values."""
    schema = Schema(
        "toy", (Feature("price", "numeric", **options),), (Task("click"),), {"a": ("click",), "b": ("click",)}
    )
    prices = FRAME["price"].to_list()
    for row, value in values:
        prices[row - 1] = value
    frames = {"a": FRAME, "b": FRAME.with_columns(price=pl.Series(prices, dtype=pl.Float64))}
    return Logs(schema, in_memory(frames), "f", "toy.csv", places={"b": "b.csv"})


def encoded(*values: tuple[int, float | None], **options: Any) -> EncodedData:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return encode(logs(*values, **options), share=False)


@pytest.mark.parametrize("value", [1e60, -1e60, BIGGEST, 1e14, 1.7e308])
@pytest.mark.parametrize(("row", "split"), [(3, "validation"), (8, "test")])
def test_what_no_network_can_use_is_named(value: float, row: int, split: str) -> None:
    place = rf"b.csv: numeric column 'price' of scenario 'b' holds {value!r}".replace("+", r"\+")
    with pytest.raises(UserError, match=rf"{place} in its {split} rows \(row {row} of the scenario\): .* set clip: 10"):
        encoded((row, value))


def test_a_pooled_table_names_the_scenario_too() -> None:
    with pytest.raises(UserError, match=r"b.csv: numeric column 'price' of scenario 'b' holds 1e\+60 in its test rows"):
        encode(logs((4, 1e60)).pooled(), share=False)
    with pytest.raises(UserError, match=r"b.csv: numeric column 'price' of scenario 'b' holds inf .*\(first: row 4"):
        encode(logs((4, np.inf)).pooled(), share=False)


@pytest.mark.parametrize("values", [[(1, 1e300)], [(1, 1.7e308), (2, 1.7e308)], [(1, 1.7e308), (2, -1.7e308)]])
@pytest.mark.parametrize("options", [{}, {"clip": 5}])
def test_scalers_do_not_overflow(values: list[tuple[int, float]], options: dict[str, float]) -> None:
    """Clipping is no help: it comes after scaling."""
    with pytest.raises(UserError, match=r"b.csv: .* training values from .* to .*e\+30., whose standard deviation"):
        encoded(*values, **options)


@pytest.mark.parametrize("unit", [1e-200, 1e-160])
def test_scalers_do_not_vanish(unit: float) -> None:
    tiny = [(row, unit * (row % 5)) for row in range(1, N + 1)]
    with pytest.raises(UserError, match=r"training values from 0.0 to 4e-.*, whose standard deviation 64-bit numbers"):
        encoded(*tiny)
    moments = Moments()
    moments.add(np.array([0.0, 1e-140]))
    assert moments.scaler().usable


def test_clipped_values_are_cut_off_on_either_side_and_missing_ones_stay_missing() -> None:
    plain = encoded((4, 20.0), (8, None)).tables["b"].splits["test"].numeric
    cut = encoded((4, 1e60), (8, None), (12, -1.7e308), clip=1.5).tables["b"].splits
    numeric = cut["test"].numeric
    assert numeric[:3].tolist() == [[1.5, 0], [0, 1], [-1.5, 0]]
    assert np.array_equal(numeric[3:], plain[3:].clip(-1.5, 1.5))
    assert np.abs(cut["train"].numeric[:, 0]).max() <= 1.5
    assert plain[0, 0] > 1.5


def test_quantiles_and_logarithms_bear_absurd_values() -> None:
    for scale in ("quantile", "log"):
        data = encoded((1, 1e60), (4, 1.7e308), scale=scale)
        assert all(np.isfinite(rows.numeric).all() for rows in data.tables["b"].splits.values())
        assert list(oddities(data)) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not Quantile.fit(np.array([-1.7e308, 1.7e308, 1.0, 2.0])).usable
        assert not Quantile.fit(np.repeat([-1.7e308, 1.7e308], 300)).usable


def test_what_is_finite_and_absurd_gets_a_sentence() -> None:
    assert list(oddities(encoded())) == []
    assert list(oddities(encoded((4, 1e4)))) == []
    (sentence,) = oddities(encoded((4, 1e10), (8, -1e6)))
    assert sentence.startswith("numeric column 'price' of scenario 'b' holds 10000000000.0 in its test rows (row 4 of")
    assert "5.1e+09 standard deviations from the mean; correct it, or set clip" in sentence
    assert list(oddities(encoded((4, 1e10), clip=10))) == []


@pytest.mark.parametrize(
    "values",
    [[(2, 1e60)], [(2, -1e60)], [(2, 2e60), (5, -1e60)], [(2, -2e60), (5, 1e60)], [(2, 1e60), (6, 1e60)]],
)
def test_a_training_value_beside_which_all_others_are_equal_gets_a_sentence(values: list[tuple[int, float]]) -> None:
    for options in ({}, {"clip": 10}):
        first, *_ = oddities(encoded(*values, **options))
        assert f"holds {values[0][1]!r} in its train rows (row 2 of the scenario), " in first
        assert "times farther from all others than those are apart" in first
        assert "set scale: log or quantile" in first


def test_a_flag_that_is_rarely_set_gets_none() -> None:
    """What is far from others that are all alike hides nothing."""
    assert list(oddities(encoded(*[(row, float(row == 2) * 1e9) for row in range(1, N + 1)]))) == []
    alike = [(row, 1e30 if row == 2 else 1e16 + 2 * (row % 2)) for row in range(1, N + 1)]  # their logarithms are
    assert not any("times farther" in sentence for sentence in oddities(encoded(*alike, scale="log")))


def test_a_column_that_only_later_rows_vary_gets_a_sentence() -> None:
    for value in (0.1, 3.0):
        constant = [(row, value) for row in range(1, N + 1)]
        assert list(oddities(encoded(*constant))) == []
    (sentence,) = oddities(encoded(*constant[:3], (4, 5.0), *constant[4:]))
    assert "holds 5.0 in its test rows (row 4 of the scenario), but training rows hold one value or none" in sentence
    nothing = [(row, None if FRAME[SPLIT][row - 1] == "train" else 3.0) for row in range(1, N + 1)]
    assert "holds 3.0 in its validation rows" in next(oddities(encoded(*nothing)))


def test_columns_that_only_later_rows_vary_share_a_sentence() -> None:
    names = ("x", "y", "z")
    schema = Schema("toy", tuple(Feature(n, "numeric") for n in names), (Task("click"),), {"a": ("click",)})
    values = [pl.when(pl.col(SPLIT) == "train").then(0).otherwise(n).alias(name) for n, name in enumerate(names)]
    data = encode(Logs(schema, in_memory({"a": FRAME.with_columns(values)}), "f", "toy"), share=False)
    (sentence,) = oddities(data)
    assert sentence.startswith("numeric column 'z'")
    assert sentence.endswith("(and in 1 other column or scenario)")


def test_numbers_that_are_rounded_get_a_sentence() -> None:
    schema = Schema("toy", (Feature("price", "numeric"),), (Task("click"),), {"a": ("click",)})
    frame = FRAME.with_columns(price=pl.int_range(pl.len()) + 2**60)
    (sentence,) = oddities(encode(Logs(schema, in_memory({"a": frame}), "f", "toy"), share=False))
    assert "whole numbers beyond 2^53 are rounded: if it is an id, declare it categorical" in sentence


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_ends_do_not_depend_on_the_chunks(size: int) -> None:
    values = np.random.default_rng(0).integers(0, 20, 50).astype(float)
    found = Ends()
    for start in range(0, 50, size):
        part = values[start : start + size]
        found.add(part, np.arange(len(part)), start)
    kept = np.unique(values)[[0, 1, -2, -1]]
    assert found.rows == {value: int(np.argmax(values == value)) + 1 for value in kept}
    assert found.outermost == (kept[0], kept[-1])
    assert Ends().outermost == ()


def test_rows_that_no_survey_has_seen_are_checked_too() -> None:
    numbers, feature = np.array([1.0, np.nan, 1e20]), Feature("price", "numeric")
    check_sizes(numbers[:2], numbers[:2], feature, "the rows")
    check_sizes(numbers[:0], numbers[:0], feature, "the rows")
    with pytest.raises(
        UserError, match=r"the rows: numeric column 'price' holds 1e\+20 \(row 3\): 1e\+20 standard dev"
    ):
        check_sizes(numbers, numbers, feature, "the rows")
    with pytest.raises(UserError, match=r"holds -1e\+20 \(row 3\): 1e\+20 standard dev"):
        check_sizes(-numbers, -numbers, feature, "the rows")


def test_rows_that_change_between_the_passes_are_checked_too() -> None:
    given, passes = logs(), []

    def stream() -> Iterator[Chunk]:
        passes.append(None)
        for name, rows in given.stream():
            yield name, rows.with_columns(pl.col("price") * 1e60 ** (len(passes) - 1))

    with pytest.raises(UserError, match=r"for scenario 'a': numeric column 'price' holds 1e\+60 \(row 2\)"):
        encode(replace(given, stream=stream), share=False)


def test_the_largest_input_leaves_every_figure_finite(tmp_path: Path) -> None:
    """In 32 bits, of validation and test rows."""
    rows = pl.concat([FRAME] * 5)
    price = pl.when((pl.int_range(pl.len()) % N).is_in([6, 7])).then(LARGEST * 1.8).otherwise("price")
    rows = rows.with_columns(country=pl.lit("NL"), user=pl.int_range(pl.len()) % 30, price=price)
    pl.concat([rows, rows.with_columns(country=pl.lit("FR"))]).rename({SPLIT: "part"}).write_csv(tmp_path / "log.csv")
    features = {"user": None, "price": {"kind": "numeric"}}
    data = source(tmp_path / "log.csv", features=features, split={"column": "part"}).model_dump(mode="json")
    raw = {
        "name": "x",
        "data": data,
        "train": {"rounds": 2, "local_steps": 5, "batch_size": 16, "learning_rate": 0.01},
        "methods": {"local": None, "paper": {"method": "pf-msmtrec", "preset": "paper"}},
        "seeds": 1,
    }
    notes: list[str] = []
    found = msmtrec.run(raw, out=tmp_path / "run", caution=notes.append)
    assert all(np.isfinite(cell.mean) for cells in found.results.cells.values() for cell in cells)
    for folder in (tmp_path / "run" / "contenders").iterdir():
        with np.load(folder / "scores.npz") as scores:
            assert all(np.isfinite(scores[f"{name}/0"]).all() for name in ("NL", "FR"))
    (note,) = (note for note in notes if "numeric column 'price'" in note)
    assert note.startswith("numeric column 'price' of scenario")  # everybody's rows, so that nobody is named
    assert "9.1e+11 standard deviations from the mean" in note


def test_data_check_names_file_column_value_scenario_and_split(tmp_path: Path) -> None:
    files = {"NL": "nl.csv", "FR": "fr.csv"}
    for name, file in files.items():
        prices = [1e10 if (name, n) == ("FR", 3) else float(n % 7) for n in range(N)]
        FRAME.with_columns(price=pl.Series(prices)).rename({SPLIT: "part"}).write_csv(tmp_path / file)
    data = {
        "source": "tabular",
        "files": {name: str(tmp_path / file) for name, file in files.items()},
        "tasks": {"click": None},
        "features": {"price": {"kind": "numeric"}},
        "split": {"column": "part"},
    }
    raw = {"name": "x", "data": data, "train": {"rounds": 1, "local_steps": 1}, "methods": ["local"], "seeds": 1}
    (tmp_path / "x.yaml").write_text(safe_dump(raw))
    said = CliRunner().invoke(app, ["data", "check", str(tmp_path / "x.yaml")])
    assert said.exit_code == 0, said.output
    sentence = "warning: numeric column 'price' of scenario 'FR' holds 10000000000.0 in its test rows (row 4"
    assert sentence in said.output
    FRAME.with_columns(price=pl.lit(1e60) * (pl.int_range(pl.len()) == 3)).rename({SPLIT: "part"}).write_csv(
        tmp_path / "fr.csv"
    )
    with pytest.raises(UserError, match=r"^[^,]*fr.csv: numeric column 'price' of scenario 'FR' holds 1e\+60"):
        encode(source(data["files"], **(data | {"scenario": ..., "group": ...})).load(), share=False)


@pytest.mark.parametrize("clip", [0, -1, float("nan"), float("inf")])
def test_clip_is_a_positive_number(clip: float) -> None:
    with pytest.raises(UserError, match=r"feature 'x': clip must be a positive number"):
        Feature("x", "numeric", clip=clip)


def test_pooled_columns_are_looked_at_as_well() -> None:
    data = encode(logs((4, 1e10)).pooled(), share=False)
    assert "of scenario 'b' holds 10000000000.0 in its test rows (row 4" in next(oddities(data))
    assert data.scenarios == (POOLED,)
