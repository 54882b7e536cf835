"""Gradient boosting of one task by LightGBM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.models.grown import Node, Tree

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Given:
    """Rows that have one task's label.

    Args:
        x: [N, M + F + 1] float32 numerics, then codes (`inputs`).
        labels: [N] of 0 and 1.
        weight: [N], above 0; None where all rows count alike.
        offset: [N] logits that the trees' are added to; None: they have all to themselves.
    """

    x: NDArray[np.float32]
    labels: NDArray[np.float32]
    _: KW_ONLY
    weight: NDArray[np.float32] | None = None
    offset: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.x)


def inputs(numeric: NDArray[np.float32], codes: NDArray[np.int32]) -> NDArray[np.float32]:
    """[N, M + F + 1]; the code 0 of what is not known is a missing value, which is in no set of categories."""
    return np.concatenate([numeric, np.where(codes > 0, codes, np.nan)], 1, dtype=np.float32)


def grow(
    settings: GBMSettings,
    train: Given,
    validation: Given,
    score: Callable[[Floats], float],
    *,
    categories: Sequence[int],
    seed: int,
    threads: int,
) -> tuple[Tree, ...]:
    """The trees of one task, up to the best by `score`.

    Where training rows have one class, or none, there is nothing to split: a leaf with the rate of k ones in n rows,
    (k + 1)/(n + 2), as a logit, or with 0 where rows have logits already.

    Args:
        score: of probabilities or logits of the validation rows, higher is better; asked where there are some.
        categories: columns of codes.
        seed: of what is drawn, from 0 to 2^31 - 1.
    """
    if len(np.unique(train.labels)) < 2:
        rate = (float(train.labels.sum()) + 1) / (len(train) + 2)
        return (Tree((), (float(np.log(rate / (1 - rate))) if train.offset is None and len(train) else 0.0,)),)
    booster, rounds = _boosted(settings, train, validation, score, categories=categories, seed=seed, threads=threads)
    found = booster.dump_model(num_iteration=rounds)["tree_info"]
    return tuple(_tree(one["tree_structure"]) for one in found)


def _boosted(
    settings: GBMSettings,
    train: Given,
    validation: Given,
    score: Callable[[Floats], float],
    *,
    categories: Sequence[int],
    seed: int,
    threads: int,
) -> tuple[Any, int]:
    """(LightGBM's booster, how many of its trees count); arguments as `grow`."""
    import lightgbm

    known = {
        "objective": "binary",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_rows,
        "lambda_l2": settings.l2,
        "feature_fraction": settings.columns,
        "bagging_fraction": settings.rows,
        "bagging_freq": 1,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "metric": "None",
        "verbosity": -1,
    }
    about: dict[str, Any] = {"categorical_feature": list(categories), "free_raw_data": False}

    def rows(given: Given, reference: Any = None) -> Any:
        return lightgbm.Dataset(
            given.x, given.labels, weight=given.weight, init_score=given.offset, reference=reference, **about
        )

    whole = rows(train)
    if settings.patience is None or not len(validation):
        return lightgbm.train(known, whole, settings.trees), settings.trees
    booster = lightgbm.train(
        known,
        whole,
        settings.trees,
        valid_sets=[rows(validation, whole)],
        feval=lambda found, _: ("score", score(found), True),
        callbacks=[lightgbm.early_stopping(settings.patience, verbose=False)],
    )
    return booster, booster.best_iteration


def _tree(root: dict[str, Any]) -> Tree:
    """From LightGBM's description, in which a row goes to the left where ours goes to the second child."""
    nodes, leaves = list[Node](), list[float]()
    inner, waiting = dict[int, int](), [root]
    order = list[dict[str, Any]]()
    while waiting:
        one = waiting.pop()
        if "split_feature" in one:
            inner[one["split_index"]] = len(order)
            order.append(one)
            waiting += [one["right_child"], one["left_child"]]

    def number(child: dict[str, Any]) -> int:
        if "split_feature" in child:
            return inner[child["split_index"]]
        leaves.append(float(child["leaf_value"]))
        return -len(leaves)

    for one in order:
        asked = one["threshold"]
        asks = tuple(map(int, asked.split("||"))) if one["decision_type"] == "==" else float(asked)
        nodes.append(Node(one["split_feature"], asks, (number(one["right_child"]), number(one["left_child"]))))
    if not nodes:
        number(root)
    return Tree(tuple(nodes), tuple(leaves))
