"""Hashes that are the same on every machine and in every version."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def stable_hash(values: Iterable[str]) -> NDArray[np.uint64]:
    """[N] 64-bit hashes of texts."""
    empty, found = blake2b(digest_size=8), []
    for value in values:  # a copy costs two thirds of a new one
        state = empty.copy()
        state.update(value.encode())
        found.append(state.digest())
    return np.frombuffer(b"".join(found), "<u8")


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """[N] well-spread numbers, another one for each (the finaliser of SplitMix64, Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        found = numbers + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(found ^ (found >> np.uint64(31)))


def drawn(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """[N] hashes as numbers from 0 to below 1, evenly spread."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
