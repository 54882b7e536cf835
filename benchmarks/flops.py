"""What a training step must compute for one row, by formula: multiplications and additions of matrix products alone.

A product with a matrix of n numbers costs 2 n for a row, and as much again for each of the two gradients. Nothing else
is counted, so that a floor made from it cannot be reached.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

EXPERTS, EXPERT_LAYERS, TOWER_LAYERS, TASKS = 8, (512, 256), (128, 64), 2


def per_row(width: float, experts: int = EXPERTS) -> float:
    """FLOP a row of the benchmark's network whose first layer reads `width` numbers.

    Args:
        experts: networks whose outputs are mixed; with the parameter template T·J.
    """
    sizes = [width, *EXPERT_LAYERS]
    numbers = experts * sum(one * other for one, other in itertools.pairwise(sizes))
    sizes = [EXPERT_LAYERS[-1], *TOWER_LAYERS, 1]
    numbers += TASKS * sum(one * other for one, other in itertools.pairwise(sizes))
    numbers += TASKS * width * EXPERTS  # gates
    return 6 * numbers


def embedded(sizes: Sequence[int], embedding: int, numerics: int) -> int:
    """Width of the input as it is: every field an embedding, the numerics beside them."""
    return len(sizes) * embedding + numerics


def folded(sizes: Sequence[int], embedding: int, numerics: int) -> int:
    """Width once embeddings are folded into the first layer: a field costs its values, or its embedding if that is
    narrower."""
    return sum(min(size, embedding) for size in sizes) + numerics


def rebuilding(sizes: Sequence[int], embedding: int, batch: int, experts: int = EXPERTS) -> float:
    """FLOP a row, of a batch, for T = E · W anew in every step, of the fields with fewer values than the width."""
    rows = sum(size for size in sizes if size < embedding)
    return 6 * rows * embedding * experts * EXPERT_LAYERS[0] / batch
