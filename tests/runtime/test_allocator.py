"""Freed memory stays with a process that asked for it: its next block comes without new pages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from places import ROOT

FAULTS = """
import resource, torch
from msmtrec.runtime.allocator import keep_freed_memory
print(keep_freed_memory())
def step():
    made = [torch.ones(10 << 20) for _ in range(4)]
    return [value * 2 for value in made]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> tuple[str, int]:
    """What the process says of itself, and the pages that ten steps with eight blocks of 40 MB took anew."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
    )
    said, count = done.stdout.split()
    return said, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_blocks_come_without_new_pages_unless_switched_off() -> None:
    kept, few = faults()
    left, many = faults(MSMTREC_MALLOC="system")
    assert (kept, left) == ("True", "False")
    assert few < many / 10
