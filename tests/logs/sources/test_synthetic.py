"""Rows of synthetic logs: how many, which, and that every knob turns its own thing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from scipy.special import logit

from msmtrec.base.errors import UserError
from msmtrec.config.parse import build
from msmtrec.data.logs import CHUNK, SPLIT
from msmtrec.logs.sources.aliexpress_columns import CATEGORICAL, NUMERIC
from msmtrec.logs.sources.synthetic import Synthetic


def source(**settings: object) -> Synthetic:
    return build(Synthetic, {"source": "synthetic", **settings}, "data")


def frames(**settings: object) -> dict[str, pl.DataFrame]:
    found: dict[str, list[pl.DataFrame]] = {}
    for name, chunk in source(**settings).drawn().stream():
        found.setdefault(name, []).append(chunk)
    return {name: pl.concat(chunks) for name, chunks in found.items()}


def test_rates_sizes_splits_and_nesting() -> None:
    found = frames(scenarios=3, rows=[30_000, 100, 20_000], click_rate=0.25, conversion_rate=0.05)
    assert [f.height for f in found.values()] == [30_000, 100, 20_000]
    for frame in (found["scenario-0"], found["scenario-2"]):
        assert frame["click"].mean() == pytest.approx(0.25, abs=0.015)
        assert frame["conversion"].mean() == pytest.approx(0.05, abs=0.01)
        assert frame.filter((pl.col("conversion") == 1) & (pl.col("click") == 0)).is_empty()
    assert found["scenario-1"][SPLIT].to_list() == ["train"] * 70 + ["validation"] * 15 + ["test"] * 15


@pytest.mark.parametrize("settings", [{"conflict": 0.5, "overlap": 0.5, "label_shift": 1.0}, {"shape": "aliexpress"}])
def test_one_more_scenario_changes_nobody_elses_rows(settings: dict[str, object]) -> None:
    few, more = frames(scenarios=2, rows=500, **settings), frames(scenarios=3, rows=500, **settings)
    assert all(few[name].equals(more[name]) for name in few)
    assert not frames(scenarios=2, rows=500, seed=1, **settings)["scenario-0"].equals(few["scenario-0"])


def test_rows_are_the_same_whatever_is_read_first() -> None:
    rows = source(scenarios=2, rows=2 * CHUNK).drawn()
    piece = list(rows.pieces(1))[1]
    alone = rows.draw(piece)[0]
    assert (piece.part, piece.number, piece.rows) == ("train", 1, round(0.7 * 2 * CHUNK) - CHUNK)
    logs = source(scenarios=2, rows=2 * CHUNK).load()
    streamed = [chunk for name, chunk in logs.stream() if name == "scenario-1"]
    assert streamed[1].equals(alone)
    assert max(chunk.height for chunk in streamed) == CHUNK


def test_a_billion_rows_begin_at_once() -> None:
    name, chunk = next(source(rows=1_000_000_000).drawn().stream())
    assert (name, chunk.height) == ("scenario-0", CHUNK)


def test_a_power_law_of_rows() -> None:
    sizes = source(scenarios=1000, rows={"total": 1e6, "exponent": 1.2, "smallest": 200}).sizes()
    assert sum(sizes) == 1_000_000
    assert list(sizes) == sorted(sizes, reverse=True)
    assert sizes[-1] == 200
    assert sizes[0] / sizes[9] == pytest.approx(10**1.2, rel=1e-3)
    assert source(scenarios=4, rows={"total": 10, "exponent": 0, "smallest": 1}).sizes() == (2, 3, 3, 2)
    assert source(scenarios=3, rows={"total": 30, "exponent": 5, "smallest": 10}).sizes() == (10, 10, 10)


NEUTRAL = {
    "scenarios": 4,
    "rows": 3000,
    "users": 400,
    "items": 400,
    "concept_shift": 0.2,
    "signal": 2.0,
    "click_rate": 0.3,
}


def statistics(settings: dict[str, object]) -> dict[str, float]:
    """One figure for every knob, from the rows drawn and from what the truth says of the same rows everywhere."""
    made = source(**settings)
    rows = made.drawn()
    truth, drawn = rows.truth, list(frames(**settings).values())
    random = np.random.default_rng(0)
    item = random.integers(200, size=20_000)
    user, price = random.integers(200, size=20_000), random.normal(size=20_000)
    same = pl.DataFrame({"user": user, "item": item, "segment": item % 7, "price": price})
    wishes = [truth.preferences(same, scenario)[0] for scenario in range(4)]
    chances = [truth.probabilities(same, scenario)[0] for scenario in range(4)]
    pairs = [float(np.corrcoef(wishes[a], wishes[b])[0, 1]) for a, b in combinations(range(4), 2)]
    law = truth.laws(0)[0]
    explained = logit((chances[0] - law.noise * law.rate) / (1 - law.noise))
    users = [set(frame["user"].unique()) for frame in drawn]
    return {
        "most rows over fewest": max(f.height for f in drawn) / min(f.height for f in drawn),
        "price means": float(np.std([f["price"].mean() for f in drawn])),
        "base rates": float(np.std([logit(p.mean()) for p in chances])),
        "agreement": float(np.mean(np.abs(pairs))),
        "opposite pairs": float(np.mean(np.array(pairs) < 0)),
        "logit": float(explained.std()),
        "lowest probability": min(float(p.min()) for p in chances),
        "users in common": len(users[0] & users[1]) / len(users[0]),
    }


@pytest.fixture(scope="module")
def neutral() -> dict[str, float]:
    return statistics(NEUTRAL)


def test_neutral_values(neutral: dict[str, float]) -> None:
    expected = {"most rows over fewest": 1, "opposite pairs": 0, "agreement": 0.8, "logit": 2, "users in common": 1}
    for name, value in expected.items():
        assert neutral[name] == pytest.approx(value, abs=0.15), name
    assert neutral["price means"] < 0.05
    assert neutral["base rates"] < 0.15
    assert neutral["lowest probability"] < 0.01


@pytest.mark.parametrize(
    ("knob", "statistic", "value"),
    [
        ({"rows": [4500, 1500, 3000, 3000]}, "most rows over fewest", 3),
        ({"covariate_shift": 1.0}, "price means", 1.25),  # four standard normals happen to
        ({"label_shift": [-1, 1, -1, 1]}, "base rates", 1),
        ({"concept_shift": 0.7}, "agreement", 0.3),
        ({"conflict": 0.5}, "opposite pairs", 4 / 6),
        ({"signal": 3.0}, "logit", 3),
        ({"noise": 0.5}, "lowest probability", 0.15),
        ({"overlap": 0.5}, "users in common", 0.5),
    ],
)
def test_a_knob_turns_its_own_thing_and_nothing_else(
    knob: dict[str, object], statistic: str, value: float, neutral: dict[str, float]
) -> None:
    for name, found in statistics(NEUTRAL | knob).items():
        if name == statistic:
            assert found == pytest.approx(value, rel=0.2), name
        else:
            assert found == pytest.approx(neutral[name], abs=0.15), name


def test_covariate_shift_leaves_the_probabilities_of_a_row_as_they_are() -> None:
    plain, moved = (source(scenarios=2, rows=800, covariate_shift=shift).drawn() for shift in (0, 1.5))
    frame = plain.draw(next(plain.pieces(1)))[0]
    for ours, theirs in zip(plain.truth.probabilities(frame, 1), moved.truth.probabilities(frame, 1), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not moved.draw(next(moved.pieces(1)))[0]["item"].equals(frame["item"])


def test_a_knob_of_the_labels_leaves_the_features_as_they_are() -> None:
    plain = frames(scenarios=2, rows=500)["scenario-1"]
    for knob in ({"signal": 1.0}, {"noise": 0.3}, {"label_shift": 1.0}, {"concept_shift": 1.0}, {"conflict": 0.5}):
        turned = frames(scenarios=2, rows=500, **knob)["scenario-1"]
        features = ["user", "item", "segment", "price"]
        assert turned.select(features).equals(plain.select(features))
        assert not turned["click"].equals(plain["click"])


def test_conflict_may_be_of_one_task_and_is_spread_evenly() -> None:
    made = source(scenarios=8, conflict=[0.25, 0])
    assert [made.turned(n) for n in range(8)] == [(n in (3, 7), False) for n in range(8)]
    assert made.load().notes[0] == "2 of 8 scenarios want the opposite of what the others have in common"


def test_the_shape_of_aliexpress() -> None:
    logs = source(shape="aliexpress", scenarios=2, rows=20_000).load()
    frame = logs.frame("scenario-1")
    assert [f.name for f in logs.schema.features] == [*CATEGORICAL, *NUMERIC]
    zeros = [float((frame[name] == 0).mean()) for name in NUMERIC]  # type: ignore[arg-type]
    assert zeros[2] == pytest.approx(0.95, abs=0.01)
    assert np.mean(zeros) == pytest.approx(0.47, abs=0.05)
    assert all(frame[name].min() >= 0 and frame[name].max() <= 1 for name in NUMERIC)  # type: ignore[operator]
    assert [frame[name].n_unique() for name in CATEGORICAL][:8] == [10, 4, 6, 2, 21, 7, 50, 8]
    pages = frame.group_by("search_id").agg(pl.len(), pl.col(SPLIT, *CATEGORICAL, *NUMERIC).n_unique())
    assert pages["len"].mean() == pytest.approx(2.5, abs=0.1)
    assert pages[SPLIT].max() == 1
    of_the_page = [*CATEGORICAL[:9], *NUMERIC[:23]]
    assert all((pages[name].max() == 1) == (name in of_the_page) for name in (*CATEGORICAL[:15], *NUMERIC[:40]))
    assert float((frame[SPLIT] == "test").mean()) == pytest.approx(0.15)  # type: ignore[arg-type]
    assert float((frame[SPLIT] == "validation").mean()) == pytest.approx(0.085, abs=0.01)  # type: ignore[arg-type]


def test_a_thousand_scenarios() -> None:
    logs = source(scenarios=1000, rows=40, users=20, items=20).load()
    assert len(logs.schema.scenarios) == 1000
    assert "mean of the first 16 scenarios" in logs.notes[0]
    rows = source(scenarios=1000, rows=40, users=20, items=20).drawn()
    assert rows.draw(next(rows.pieces(999)))[0].height == 28


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"click_rate": 0.1, "conversion_rate": 0.2}, r"data: conversion_rate must be below click_rate"),
        ({"scenarios": 3, "rows": [1, 2]}, r"rows lists 2 numbers for 3 scenarios"),
        ({"rows": 0}, r"data.rows: must be at least 1, not 0$"),
        ({"scenarios": 2, "rows": [10, -5]}, r"data.rows: must be at least 1, not -5 \(scenario-1\)"),
        ({"rows": "many"}, r"data.rows: must be one number, a list .* or a power law, not 'many'"),
        ({"rows": {"scenario-0": 5}}, r"unknown config key 'data.rows.scenario-0'; valid: exponent, smallest, total"),
        ({"rows": {"exponent": 1}}, r"data.rows.total is missing"),
        ({"rows": {"total": 100, "smallest": 26}}, r"4 scenarios of at least 26 rows have more than rows.total, 100"),
        ({"conflict": 0.2}, r"conflict 0.2 turns none of 4 scenarios; give 0, or at least 0.25"),
        ({"conflict": [0.5, 0.5, 0.5]}, r"data.conflict: must be one number, or a pair, for click and conversion"),
        ({"conflict": 1.5}, r"data.conflict: must be from 0 to 1, not 1.5"),
        ({"label_shift": -1}, r"data.label_shift: must be from 0 to 10, not -1"),
        ({"label_shift": [1, 2]}, r"label_shift lists 2 numbers for 4 scenarios"),
        ({"label_shift": True}, r"data.label_shift: must be one number, or a list .* not True"),
        ({"conflicting": 1}, r"unknown config key 'data.conflicting'; did you mean 'conflict'\?"),
        ({"shape": "aliexpress", "users": 5}, r"users has no meaning in shape aliexpress"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        source(**settings)
