"""Gradient boosting of one task by LightGBM, and its trees as the tensors that `models.trees` evaluates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Parameters
from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.models import trees as tensors
from msmtrec.models.trees import LARGEST, Categories

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


@dataclass(frozen=True)
class Node:
    """One inner node. A row goes to the second child if its number is at most the threshold, or if its code is among
    the members; children are numbers of inner nodes, or of leaves as -1 - number.
    """

    column: int
    asks: float | tuple[int, ...]
    children: tuple[int, int]


@dataclass(frozen=True)
class Tree:
    """Inner nodes, of which the first is the root, and the leaves' values."""

    nodes: tuple[Node, ...]
    leaves: tuple[float, ...]


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


@dataclass
class _Packer:
    """Trees of all tasks, one after the other.

    Args:
        numerics: columns of numerics, before those of codes.
        sizes: [F + 1] of each column of codes, the highest.
    """

    numerics: int
    sizes: Sequence[int]
    numeric: list[tuple[int, float]] = field(default_factory=list)
    category: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def place(self, node: Node) -> tuple[bool, int]:
        """(whether it asks for a category, its number among those that do, or do not)."""
        if isinstance(node.asks, tuple):
            self.category.append((node.column - self.numerics, node.asks))
            return True, len(self.category) - 1
        self.numeric.append((node.column, _below(node.asks)))
        return False, len(self.numeric) - 1


def packed(
    forests: Sequence[Sequence[Tree]], numerics: int, categories: Categories, scenarios: int, dtype: torch.dtype
) -> Parameters:
    """The tensors of `models.trees`, of the trees of each task.

    Raises:
        UserError: there are more of them than numbers that float32 has exactly.
    """
    each = [(task, tree) for task, forest in enumerate(forests) for tree in forest]
    extents = (
        [int(codes.max()) for codes in np.split(categories.codes, categories.placed[1:, 3])]
        if len(categories.placed)
        else []
    )
    packer = _Packer(numerics, [*extents, scenarios])
    placed = [[packer.place(node) for node in tree.nodes] for _, tree in each]
    I = len(packer.numeric)
    inner = I + len(packer.category)
    leaves = np.array([value for _, tree in each for value in tree.leaves])
    children = np.empty((inner + len(leaves), 2), np.int64)
    children[inner:] = np.arange(inner, len(children))[:, np.newaxis]
    roots, first = [], inner
    for (_, tree), own in zip(each, placed, strict=True):
        numbers = [I + number if asks_category else number for asks_category, number in own]
        for node, number in zip(tree.nodes, numbers, strict=True):
            children[number] = [numbers[child] if child >= 0 else first - 1 - child for child in node.children]
        roots.append(numbers[0] if numbers else first)
        first += len(tree.leaves)
    members, starts = _members(packer)
    if max(len(children), len(members)) >= LARGEST:
        raise UserError("the trees have too many nodes to be kept; lower options.trees, leaves or categories")
    found = {
        tensors.LEAF: torch.from_numpy(leaves).to(dtype),
        tensors.THRESHOLD: torch.tensor([asks for _, asks in packer.numeric], dtype=dtype),
        tensors.NUMERIC: _whole([column for column, _ in packer.numeric]),
        tensors.CATEGORY: _whole([column for column, _ in packer.category]),
        tensors.START: _whole(starts),
        tensors.MEMBERS: torch.from_numpy(members),
        tensors.CHILDREN: torch.from_numpy(children.astype(np.int32)),
        tensors.ROOT: _whole(roots),
        tensors.TASK: _whole([task for task, _ in each]),
        tensors.FIELDS: torch.from_numpy(categories.placed.astype(np.int32)),
        tensors.CODES: torch.from_numpy(categories.codes),
    }
    return {name: found[name] for name in tensors.NAMES}


def _members(packer: _Packer) -> tuple[NDArray[np.uint8], list[int]]:
    """(1 of each code that goes to the second child, node after node; where each node's begin)."""
    parts, starts, start = [np.empty(0, np.uint8)], list[int](), 0
    for column, codes in packer.category:
        own = np.zeros(packer.sizes[column] + 1, np.uint8)
        own[list(codes)] = 1
        parts.append(own)
        starts.append(start)
        start += len(own)
    return np.concatenate(parts), starts


def _below(threshold: float) -> float:
    """The highest float32 that is not above it: of numbers in float32 the same are at most as high."""
    found = np.float32(np.clip(threshold, -np.finfo(np.float32).max, np.finfo(np.float32).max))
    return float(np.nextafter(found, np.float32(-np.inf)) if float(found) > threshold else found)


def _whole(numbers: Sequence[int]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int32)
