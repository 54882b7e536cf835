"""The machine that figures come from, as far as it matters for them."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Instructions that decide how fast a matrix product can be."""
LIBRARIES = ("torch", "numpy", "polars")


@cache
def machine() -> dict[str, Any]:
    """Empty strings where the system does not say."""
    cpu = _fields(Path("/proc/cpuinfo"))
    known = set(cpu.get("flags", "").split())
    memory = _fields(Path("/proc/meminfo")).get("MemTotal", "0 kB").split()[0]
    return {
        "cpu": cpu.get("model name", platform.processor()),
        "family": f"family {cpu.get('cpu family', '?')}, model {cpu.get('model', '?')}",
        "cores": os.cpu_count(),
        "caches": _caches(),
        "instructions": [flag for flag in FLAGS if flag in known],
        "memory_gb": round(int(memory) * 1024 / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}".strip(", "),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "revision": _revision(),
    }


def load() -> list[float]:
    """Processes that wanted a core, on average over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def _fields(path: Path) -> dict[str, str]:
    """The first of each `name: value`."""
    found: dict[str, str] = {}
    for text in path.read_text().splitlines() if path.exists() else ():
        name, _, value = text.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _caches() -> str:
    """Of the first core: level and size."""
    found = []
    for place in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((place / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found)


def _revision() -> str:
    """Of the repository; with a plus where files differ from it."""
    here = Path(__file__).resolve().parent
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
