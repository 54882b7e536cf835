"""Hashes that are the same on every machine and in every version."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def stable_hash(values: Iterable[str]) -> NDArray[np.uint64]:
    """[N] 64-bit hashes of texts."""
    return np.array([int.from_bytes(blake2b(v.encode(), digest_size=8).digest(), "little") for v in values], np.uint64)
