"""How the C library hands out memory, in processes of our own.

glibc asks the kernel for every block above 32 MB and gives it back when it is freed. A training step frees such blocks
dozens of times, and each comes back as pages that have to be filled with zeros: a third of a step's time.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """From now on freed memory stays with this process, for its next block.

    For processes that train and end; never for one that somebody else's program runs in. `MSMTREC_MALLOC=system`
    leaves everything as it is, and so does a C library that is not glibc.

    Returns:
        whether it is so now.
    """
    if os.environ.get("MSMTREC_MALLOC") == "system" or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _MOST))
