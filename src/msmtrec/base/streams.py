"""Random streams: every draw comes from a generator derived from (seed, purpose, scenario, counter).

Streams depend on names, never on positions, so adding or reordering scenarios changes nobody else's numbers, and a
run resumes from counters alone: there is no generator state to store.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(*keys: str | int) -> int:
    """A 63-bit seed from the keys; equal keys give equal seeds on every machine and Python version."""
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def torch_stream(*keys: str | int) -> torch.Generator:
    """A CPU generator for the keys (CPU on every device, so that the numbers do not depend on the device)."""
    import torch  # not before it is needed

    return torch.Generator().manual_seed(stream_seed(*keys))


def numpy_stream(*keys: str | int) -> np.random.Generator:
    """A NumPy generator for the keys."""
    return np.random.default_rng(stream_seed(*keys))
