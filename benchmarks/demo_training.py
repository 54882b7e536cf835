"""The rounds of `make demo`, all seven contenders with their fine-tuning: CPU seconds before and after.

    python benchmarks/demo_training.py [--base REVISION] [--quick]

Before is the library as it was at a revision of this repository, whose files are laid out below runs/. Both train on
the same encoded rows with fewer rounds than the demo has; what comes before the first round and after the last one
(encoding, test rows, the report) is not in it. KuaiRand-Pure must be in the data directory.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import time
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from harness import ROOT, TIMES, Alternative, Missing, begin, by_turns, middle, ratios
from results import Result, Results, absent

BASE = "2e998ea"
"""The last revision before the work on speed."""
WANTED = 2.0


def laid_out(revision: str) -> Path:
    """The library's source at a revision.

    Raises:
        Missing: there is no such revision.
    """
    folder = ROOT / "runs" / "bench-base" / revision
    if not folder.exists():
        done = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, capture_output=True, check=False)
        if done.returncode:
            raise Missing(f"revision {revision} is not in this repository")
        with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return folder / "src"


CONTENDERS = ("local", "emb-only", "fedavg", "fedavg-all", "pooled", "paper", "recommended")
"""Those that the demo had then."""


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """With whichever library the process imports."""
    from clock import Clock

    from msmtrec.base.settings import cache_directory
    from msmtrec.cli.demo import built_in_config
    from msmtrec.config.parse import load_config
    from msmtrec.data.encode import Variant, encode_all
    from msmtrec.experiment.contender import run_contender
    from msmtrec.experiment.encoders import variant
    from msmtrec.federation import rounds, traffic
    from msmtrec.record.directory import read_lines

    for module in (traffic, rounds):
        assert module.perf_counter is time.perf_counter, "the library's stopwatch is elsewhere now"  # type: ignore[attr-defined]
        module.perf_counter = time.process_time  # type: ignore[attr-defined]
    fewer = (f"train.rounds={asked['rounds']}", f"fine_tune={{rounds: {asked['fine_tune']}}}", "jobs=1")
    config = load_config(built_in_config("kuairand"), fewer)
    if not config.data.present():
        raise Missing("KuaiRand-Pure is not in the data directory: msmtrec data fetch kuairand-pure")
    chosen = [candidates[0] for candidates in config.contenders if candidates[0].name in CONTENDERS]
    variants = {name: Variant(share=name == "shared", pooled=name == "pooled") for name in map(variant, chosen)}
    data = encode_all(config.data.load(), variants, cache=cache_directory())
    if find_spec("msmtrec.runtime.allocator"):  # as `msmtrec demo` does, where it can
        from msmtrec.runtime.allocator import keep_freed_memory

        keep_freed_memory()
    spent, phases = 0.0, dict[str, float]()
    aucs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for contender in chosen:
            clock, place = Clock(), Path(folder) / contender.name
            run_contender(contender, data[variant(contender)], config.seeds, place, clock, 1)
            spent += sum(clock.rounds)
            for column in (contender.name, contender.tuned):
                path = Path(folder) / column / "rounds.jsonl"
                for record in read_lines(path) if path.exists() else ():
                    if column == contender.tuned and "fine-tune" not in record["seconds"]:
                        continue  # a fine-tuned column begins with the rounds that it goes on from
                    for name, seconds in record["seconds"].items():
                        phases[name] = phases.get(name, 0.0) + seconds
            for record in read_lines(place / "metrics.jsonl"):
                if record["stage"] == "after" and record["auc"] is not None:
                    key = ("round", "seed", "scenario", "task")
                    aucs[" ".join([contender.name, *(str(record[part]) for part in key)])] = record["auc"]
    return {"cpu": spent, "phases": phases, "aucs": aucs}


def base_asked() -> str:
    return sys.argv[sys.argv.index("--base") + 1] if "--base" in sys.argv[:-1] else BASE


def main(quick: bool) -> None:
    revision, wanted = base_asked(), WANTED
    about = f"7 contenders × 3 seeds on KuaiRand-Pure, before (revision {revision}) and after; one thread."
    results = Results("demo_training", "The demo's training", about, quick)
    asked = {"rounds": 1, "fine_tune": 1} if quick else {"rounds": 3, "fine_tune": 1}
    title = "rounds and fine-tuning of the demo, times as fast as before"
    try:
        before = Alternative("demo_training.py", asked, source=laid_out(revision))
        known = {"before": before, "after": Alternative("demo_training.py", asked)}
        turns = by_turns(known, 1 if quick else TIMES)
        if turns.missing:
            raise Missing(next(iter(turns.missing.values())))
    except Missing as why:
        results.add(absent(title, wanted, "x", f"not there: {why}"))
        results.write()
        return
    results.know({"after": known["after"]})
    one, other = (turns.found[which][0]["aucs"] for which in ("before", "after"))
    apart = max(abs(one[key] - other[key]) for key in one) if one.keys() == other.keys() else float("nan")
    note = f"validation AUC apart by at most {apart:.1g}"
    results.add(
        Result(title, wanted, "x", *middle(ratios(turns.cpu("before"), turns.cpu("after"))), note=note, of="after")
    )
    table = [["CPU seconds", "before", "after"]]
    for phase in turns.found["before"][0]["phases"]:
        both = [middle([said["phases"].get(phase, 0.0) for said in turns.found[which]])[0] for which in known]
        table.append([phase, *(f"{value:.1f}" for value in both)])
    table.append(["all of it", *(f"{middle(turns.cpu(which))[0]:.1f}" for which in known)])
    results.tables.append(table)
    results.write()


if __name__ == "__main__":
    begin(main, measure)
