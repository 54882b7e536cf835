import polars as pl
import pytest

from msmtrec.config import build
from msmtrec.data.sources.synthetic import Synthetic
from msmtrec.errors import UserError


def frames(**settings: object) -> dict[str, pl.DataFrame]:
    logs = build(Synthetic, {"source": "synthetic", **settings}, "data").load()
    return {name: logs.frame(name) for name in logs.schema.scenarios}


def test_rates_sizes_and_nesting() -> None:
    found = frames(scenarios=3, rows=[3000, 100, 2000], click_rate=0.25, conversion_rate=0.05)
    assert [f.height for f in found.values()] == [3000, 100, 2000]
    for frame in found.values():
        assert frame["click"].mean() == pytest.approx(0.25, abs=0.01)
        assert frame["conversion"].mean() == pytest.approx(0.05, abs=0.01)
        assert frame.filter((pl.col("conversion") == 1) & (pl.col("click") == 0)).is_empty()


def test_one_more_scenario_changes_nobody_elses_rows() -> None:
    few, more = frames(scenarios=2), frames(scenarios=3)
    assert all(few[name].equals(more[name]) for name in few)
    assert not frames(scenarios=2, seed=1)["scenario-0"].equals(few["scenario-0"])


def test_a_conflicting_scenario_wants_the_opposite() -> None:
    found = frames(scenarios=3, rows=20_000, common=1.0, conflicting=1, items=20)
    rate = [f.group_by("item").agg(pl.col("click").mean()).sort("item")["click"] for f in found.values()]

    def corr(a: pl.Series, b: pl.Series) -> float:
        return float(pl.DataFrame({"a": a, "b": b}).select(pl.corr("a", "b")).item())

    assert corr(rate[0], rate[1]) > 0.8
    assert corr(rate[0], rate[2]) < -0.8


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UserError, match=r"data: conversion_rate must be below click_rate"):
        frames(click_rate=0.1, conversion_rate=0.2)
    with pytest.raises(UserError, match=r"rows lists 2 numbers for 3 scenarios"):
        frames(scenarios=3, rows=[1, 2])
    with pytest.raises(UserError, match=r"data.rows: must be at least 1, not 0$"):
        frames(rows=0)
    with pytest.raises(UserError, match=r"data.rows: must be at least 1, not -5 \(scenario-1\)"):
        frames(scenarios=2, rows=[10, -5])
    with pytest.raises(UserError, match=r"data.rows: must be one number, or a list"):
        frames(rows={"scenario-0": 5})
