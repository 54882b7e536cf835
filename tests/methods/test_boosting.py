"""LightGBM's trees, and ours made of them: the same rows, the same logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.small import LAYOUT, rows
from msmtrec.data.table import Rows
from msmtrec.methods.boosting import Given, _boosted, grow, inputs
from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.models.grown import packed
from msmtrec.models.predict import predict
from msmtrec.models.trees import Categories, Trees

pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'msmtrec[gbm]'")
SETTINGS = GBMSettings(trees=12, leaves=7, min_rows=5, patience=None)
M = LAYOUT.numeric


def taught(N: int, seed: int = 0) -> Rows:
    """Clicks that hang on a number, on which item it is, and on the scenario."""
    found = rows(N, seed)
    assert found.scenario is not None
    random = np.random.default_rng(seed)
    logit = 2 * (found.numeric[:, 0] > 0.3) + 1.5 * (found.ids[:, 6] % 3 == 1) - 2 * (found.scenario == 2)
    labels = (random.random((N, 2)) < 1 / (1 + np.exp(1 - logit[:, None]))).astype(np.float32)
    return replace(found, labels=labels)


def given(data: Rows, categories: Categories, task: int = 0) -> Given:
    x = inputs(data.numeric, categories(data))
    offset = None if data.offset is None else np.ascontiguousarray(data.offset[:, task])
    return Given(x, np.ascontiguousarray(data.labels[:, task]), weight=data.weight, offset=offset)


def grown(settings: GBMSettings, data: Rows, held: Rows | None = None, score=None, threads: int = 1, seed: int = 0):  # type: ignore[no-untyped-def]
    categories = Categories.of(data, LAYOUT, settings.categories)
    parts = given(data, categories), given(held or data.take(slice(0)), categories)
    columns = range(M, parts[0].x.shape[1])
    known = {"categories": columns, "seed": seed, "threads": threads}
    return grow(settings, *parts, score, **known), _boosted(settings, *parts, score, **known), categories


@pytest.mark.parametrize("case", ["plain", "weighted", "offset"])
def test_logits_are_lightgbms(case: str) -> None:
    train, later = taught(1500), taught(400, seed=1)
    if case == "weighted":
        train = replace(train, weight=np.random.default_rng(2).random(1500).astype(np.float32) + 0.1)
    if case == "offset":
        train = replace(train, offset=np.random.default_rng(2).normal(size=(1500, 2)).astype(np.float32))
    trees, (booster, rounds), categories = grown(SETTINGS, train)
    assert any(isinstance(node.asks, tuple) for tree in trees for node in tree.nodes)
    assert any(isinstance(node.asks, float) for tree in trees for node in tree.nodes)
    later.ids[:50, 6] = 77  # never seen
    held = packed([trees, []], M, categories, len(LAYOUT.scenarios), torch.float64)
    wanted = booster.predict(inputs(later.numeric, categories(later)), raw_score=True, num_iteration=rounds)
    assert np.std(wanted) > 0.3
    found = predict(Trees(LAYOUT), held, later)
    np.testing.assert_allclose(found[:, 0], wanted, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found[:, 1], np.zeros(400))
    held = packed([trees, []], M, categories, len(LAYOUT.scenarios), torch.float32)
    np.testing.assert_allclose(predict(Trees(LAYOUT), held, later)[:, 0], wanted, rtol=0, atol=1e-5)


def test_what_is_not_known_is_in_no_set_of_categories() -> None:
    """Though rows without a value all have clicks: a value that was never seen must not count as none."""
    train = taught(1500)
    train.ids[:500, 6], train.labels[:500] = -1, 1
    trees, _, _ = grown(SETTINGS, train)
    sets = [node.asks for tree in trees for node in tree.nodes if isinstance(node.asks, tuple)]
    assert sets
    assert not any(0 in codes for codes in sets)


def test_the_same_seed_gives_the_same_trees_on_any_number_of_threads_and_another_other_ones() -> None:
    first, again, threads, other = (
        grown(SETTINGS, taught(1500), threads=threads, seed=seed)[0]
        for threads, seed in ((1, 0), (1, 0), (2, 0), (1, 1))
    )
    assert first == again == threads
    assert first != other


def test_trees_up_to_the_best_are_kept() -> None:
    """A score that rises seven times and then falls."""
    asked = []

    def score(found: np.ndarray) -> float:
        asked.append(len(found))
        return float(-abs(len(asked) - 7))

    train, held = taught(800), taught(100, seed=1)
    categories = Categories.of(train, LAYOUT, 20)
    settings = SETTINGS.model_copy(update={"trees": 40, "patience": 5})
    columns = range(M, M + 1 + len(categories.fields))
    parts = given(train, categories), given(held, categories)
    trees = grow(settings, *parts, score, categories=columns, seed=0, threads=1)
    assert (len(trees), len(asked)) == (7, 12)
    assert set(asked) == {100}


@pytest.mark.parametrize("ones,rate", [(0, 1 / 12), (10, 11 / 12)])
def test_one_class_gives_its_rate(ones: int, rate: float) -> None:
    x = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    labels, nothing = np.full(10, float(ones > 0), np.float32), Given(x[:0], np.empty(0, np.float32))
    known = {"categories": [2], "seed": 0, "threads": 1}
    (tree,) = grow(SETTINGS, Given(x, labels), nothing, len, **known)
    assert (tree.nodes, 1 / (1 + np.exp(-np.array(tree.leaves)))) == ((), pytest.approx([rate]))
    (tree,) = grow(SETTINGS, Given(x, labels, offset=x[:, 0]), nothing, len, **known)
    assert tree.leaves == (0.0,)  # the rows' own logits stay
    (tree,) = grow(SETTINGS, nothing, nothing, len, **known)
    assert tree.leaves == (0.0,)
