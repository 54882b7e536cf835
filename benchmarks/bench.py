"""`make bench`: every target beside what was measured.

    python benchmarks/bench.py [--quick] [--page] [NAME …]

A name is that of a script without `.py`; without any all but `parity` run, one after the other. Every script writes its
figures to runs/bench/; `--page` then writes docs/performance.md from what is there.
"""

from __future__ import annotations

import subprocess
import sys
import time

import page
from harness import HERE, environment
from results import FOLDER, Result, count, line, read

SCRIPTS = (
    "training",
    "template",
    "small_scenarios",
    "many_scenarios",
    "demo_training",
    "reading",
    "second_start",
    "start_up",
    "auc",
    "server_side",
    "cores",
    "device",
    "parity",
)
"""In the page's order."""
LONG = ("parity",)
"""Only run where they are named; what they found last is printed with the others."""
OPTIONS = ("--quick", "--page")


def main(arguments: list[str]) -> int:
    """0 where every script ran, whatever it measured."""
    names = [argument for argument in arguments if not argument.startswith("--")]
    unknown = [name for name in names if name not in SCRIPTS] + [
        one for one in arguments if one.startswith("--") and one not in OPTIONS
    ]
    if unknown:
        print(f"no benchmark '{unknown[0]}'; there are: {', '.join(SCRIPTS)}", file=sys.stderr)
        return 2
    chosen, failed, began = names or [name for name in SCRIPTS if name not in LONG], list[str](), time.perf_counter()
    for name in chosen:
        print(f"\n{name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *(["--quick"] if "--quick" in arguments else [])]
        if subprocess.run(command, env=environment(1), check=False).returncode:
            failed.append(name)
    results: list[Result] = []
    print()
    for name in names or SCRIPTS:
        if name in failed or not (FOLDER / f"{name}.json").exists():
            continue
        found, _ = read(FOLDER / f"{name}.json")
        print(found.title)
        for result in found.results:
            print("  " + line(result))
        results += found.results
    print(f"\n{count(results)}; {(time.perf_counter() - began) / 60:.0f} minutes")
    if failed:
        print(f"failed: {', '.join(failed)}")
    if "--page" in arguments:
        page.main(SCRIPTS)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
