"""Trees as they were grown, and as the tensors that `models.trees` evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Parameters
from msmtrec.models import trees
from msmtrec.models.trees import Categories

LARGEST = 1 << 24
"""Numbers below it are exact in float32, as which exported graphs hold them all."""


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


def packed(
    forests: Sequence[Sequence[Tree]], numerics: int, categories: Categories, scenarios: int, dtype: torch.dtype
) -> Parameters:
    """The tensors of `models.trees`.

    Args:
        forests: of each task.
        numerics: M, columns of numerics; those of codes follow, of which the last is the scenario's.
        dtype: of thresholds and leaves.

    Raises:
        UserError: there are more nodes or members than float32 has numbers.
    """
    each = [(task, tree) for task, forest in enumerate(forests) for tree in forest]
    nodes = [node for _, tree in each for node in tree.nodes]
    order = sorted(range(len(nodes)), key=lambda n: (isinstance(nodes[n].asks, tuple), nodes[n].column))
    place = np.empty(len(nodes), np.int64)
    place[order] = np.arange(len(nodes))
    leaves = np.array([value for _, tree in each for value in tree.leaves])
    children = np.tile(np.arange(len(nodes) + len(leaves))[:, np.newaxis], 2)
    roots, first, leaf = [], 0, len(nodes)
    for _, tree in each:
        for number, node in enumerate(tree.nodes):
            there = [place[first + child] if child >= 0 else leaf - 1 - child for child in node.children]
            children[place[first + number]] = there
        roots.append(int(place[first]) if tree.nodes else leaf)
        first, leaf = first + len(tree.nodes), leaf + len(tree.leaves)
    ordered = [nodes[n] for n in order]
    asking = [(node.column, node.asks) for node in ordered if not isinstance(node.asks, tuple)]
    choosing = [(node.column - numerics, node.asks) for node in ordered if isinstance(node.asks, tuple)]
    members, starts = _members(choosing, [*categories.sizes, scenarios])
    if max(len(children), len(members)) >= LARGEST:
        raise UserError("the trees have too many nodes to be kept; lower options.trees, leaves or categories")
    return {
        trees.LEAF: torch.from_numpy(leaves).to(dtype),
        trees.THRESHOLD: torch.tensor([_below(asks) for _, asks in asking], dtype=dtype),
        trees.NUMERIC: _whole([column for column, _ in asking]),
        trees.CATEGORY: _whole([column for column, _ in choosing]),
        trees.START: _whole(starts),
        trees.MEMBERS: torch.from_numpy(members),
        trees.CHILDREN: torch.from_numpy(children.astype(np.int32)),
        trees.ROOT: _whole(roots),
        trees.TASK: _whole([task for task, _ in each]),
        trees.FIELDS: torch.from_numpy(categories.placed.astype(np.int32)),
        trees.CODES: torch.from_numpy(categories.codes),
    }


def _members(
    choosing: Sequence[tuple[int, tuple[int, ...]]], sizes: Sequence[int]
) -> tuple[NDArray[np.uint8], list[int]]:
    """(1 of each code that goes to the second child, node after node; where each node's begin).

    sizes: of each column of codes, the highest.
    """
    parts, starts, start = [np.empty(0, np.uint8)], list[int](), 0
    for column, codes in choosing:
        own = np.zeros(sizes[column] + 1, np.uint8)
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
