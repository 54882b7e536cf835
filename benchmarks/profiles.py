"""Profiles of what missed its target: where the time goes, for the page.

    python benchmarks/profiles.py

Reads runs/bench/*.json, runs the alternative of every missed target once more under a profiler (torch's operators where
a step is what is measured, packages where importing is, Python's functions elsewhere), and writes
runs/bench/profiles.json.
"""

from __future__ import annotations

import json
from typing import Any

from bench import SCRIPTS
from harness import Alternative, once
from results import FOLDER, read

KINDS = {"training": "torch", "template": "torch", "small_scenarios": "torch", "start_up": "imports"}
FILE = "profiles.json"


def missed() -> dict[str, dict[str, Any]]:
    """script · alternative -> its script and arguments, of every missed target that says what was measured."""
    found = {}
    for name in SCRIPTS:
        if (FOLDER / f"{name}.json").exists():
            results, _ = read(FOLDER / f"{name}.json")
            for result in results.results:
                if result.verdict == "missed" and result.of in results.alternatives:
                    found[f"{name} · {result.of}"] = results.alternatives[result.of]
    return found


def main() -> None:
    profiles = {}
    for name, chosen in missed().items():
        kind = KINDS.get(name.partition(" · ")[0], "python")
        profiles[name] = once(Alternative(chosen["script"], {**chosen["arguments"], "profile": kind}))["lines"]
        print(name)
        for entry in profiles[name]:
            print("  " + " · ".join(entry))
    (FOLDER / FILE).write_text(json.dumps(profiles, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
