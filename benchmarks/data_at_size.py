"""How long logs of a given size take to encode, and how much memory and disk: measured on 2 GB, on paper for 20 GB.

Run it with `make measure-data`. Writes AliExpress-shaped CSV once, then encodes it several times, each in a fresh
process with an empty cache, and prints a Markdown table. Nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

CONFIG = Path(__file__).with_name("aliexpress-2gb.yaml")
TIMES = 5
PAPER = 20e9
"""Bytes of CSV for which the last column is worked out: seconds and disk in proportion, memory as it is."""

ENCODE = """
import json, resource, sys, time
from pathlib import Path
from msmtrec.config.parse import load_config
from msmtrec.data.encode import Variant, encode_all

logs = load_config(Path(sys.argv[1])).data.load()
variants = {name: Variant(pooled=name == "pooled") for name in sys.argv[3:]}
start = time.perf_counter()
data = encode_all(logs, variants, cache=Path(sys.argv[2]))
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
rows = sum(len(rows) for rows in next(iter(data.values())).whole.values())
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": usage.ru_maxrss * 1024, "rows": rows}))
"""


def main(folder: Path) -> None:
    logs, cache = folder / "logs", folder / "cache"
    if not (logs / "truth.json").exists():
        start = time.perf_counter()
        command = [sys.executable, "-m", "msmtrec", "data", "synthesize", str(CONFIG), "--format", "aliexpress"]
        subprocess.run([*command, "--out", str(logs)], check=True)
        print(f"written in {time.perf_counter() - start:.0f} s\n")
    size = bytes_of(logs)
    print(f"{size / 1e9:.2f} GB of CSV, {os.cpu_count()} cores, median of {TIMES}\n")
    print(f"| variants | rows | seconds | CPU seconds | peak memory | cache | {PAPER / 1e9:.0f} GB of CSV, on paper |")
    print("|---|---|---|---|---|---|---|")
    for variants in (["private"], ["private", "pooled"]):
        found = []
        for _ in range(TIMES):
            shutil.rmtree(cache, ignore_errors=True)
            done = subprocess.run(
                [sys.executable, "-c", ENCODE, str(logs / "config.yaml"), str(cache), *variants],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "MSMTREC_CACHE": str(cache)},
            )
            found.append(json.loads(done.stdout) | {"disk": bytes_of(cache)})
        middle = {key: statistics.median(run[key] for run in found) for key in found[0]}
        times = PAPER / size
        print(
            f"| {', '.join(variants)} | {middle['rows']:,.0f} | {middle['seconds']:.0f} | {middle['cpu']:.0f} |"
            f" {middle['memory'] / 1e9:.2f} GB | {middle['disk'] / 1e9:.1f} GB |"
            f" {times * middle['seconds'] / 60:.0f} minutes, {middle['memory'] / 1e9:.1f} GB of memory,"
            f" {times * middle['disk'] / 1e9:.0f} GB of disk |"
        )
    shutil.rmtree(cache, ignore_errors=True)


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/measure-data"))
