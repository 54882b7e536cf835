"""Updates that attend to each other by how well they agree."""

from __future__ import annotations

import math

from torch import Tensor

from msmtrec.aggregation import chunks


def attended(values: chunks.Vectors, base: chunks.Vectors) -> list[Tensor]:
    """For each update x_i = values_i - base_i, of d numbers: sum over j of softmax_j(<x_i, x_j> / sqrt d) x_j."""
    scores = chunks.gram(values, base) / math.sqrt(values[0].numel())
    return chunks.combine_each(scores.softmax(1), values, base)
