"""Stacks side by side on the cores of one process, for networks whose steps are long.

A thread computes with one core. Python runs in one thread at a time, so that only steps which spend their time in
products of matrices gain; several contenders with small networks are better trained in processes of their own (`jobs`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

LARGE = 1e9
"""Multiplications of a stack's step, first layers alone, from which Python's share of it is small."""
T = TypeVar("T")
R = TypeVar("R")


def on_cores(work: Callable[[list[T]], R], stacks: Sequence[list[T]], products: Callable[[list[T]], float]) -> list[R]:
    """What `work` makes of every stack, in order.

    Where a step is long, the stacks are divided until there is one for each thread, and go side by side.

    Args:
        products: of a stack's step, first layers alone.
    """
    threads = torch.get_num_threads()
    if threads < 2 or not stacks or max(products(stack) for stack in stacks) < LARGE:
        return [work(stack) for stack in stacks]
    parts = [stack[place::count] for stack in stacks for count in (min(threads, len(stack)),) for place in range(count)]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, parts))
    finally:
        torch.set_num_threads(threads)  # some libraries know one number for all threads
