"""`msmtrec bench`: contenders that are tuned alike, on many seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from msmtrec.cli.console import ConfigArgument, SetOption, config_path, out, table_of
from msmtrec.cli.running import OutOption, print_run
from msmtrec.cli.watch import LogFormat, LogFormatOption, QuietOption, watching


def bench(
    config: ConfigArgument,
    set_: SetOption = None,
    out_dir: OutOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is in the folder; contenders may have been added.")
    ] = False,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", metavar="FILE", help="CSV of finished seeds, to go on from too [default: OUT/bench.csv]."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and train nothing.")] = False,
    quiet: QuietOption = False,
    log_format: LogFormatOption = LogFormat.text,
) -> None:
    """Tune every contender of a config on as many candidates, train the chosen ones on all seeds, compare.

    Example: `msmtrec bench configs/bench/kuairand.yaml --out runs/bench-kuairand`
    """
    from msmtrec.config.bench import load_bench

    if dry_run:
        _print_plan(load_bench(config_path(config), tuple(set_ or ())))
        return
    with watching(quiet, log_format, None) as observer:
        parsed = load_bench(config_path(config), tuple(set_ or ()))
        check_results(results)
        from msmtrec.runtime.allocator import keep_freed_memory
        from msmtrec.studies.bench import run_bench  # torch with it: not before there is something to train

        keep_freed_memory()
        finished = run_bench(
            parsed, out=out_dir, resume=resume, results=results, observer=observer, caution=lambda _: None
        )
    if finished is not None:
        print_run(finished)


def check_results(results: Path | None) -> None:
    """Raises: UserError: it is a folder."""
    from msmtrec.base.errors import UserError

    if results is not None and results.is_dir():
        raise UserError(f"--results {results} is a folder; name a CSV file in it")


def _print_plan(parsed: Any) -> None:
    from msmtrec.studies.candidates import candidates_of
    from msmtrec.studies.plan import in_words, plan

    candidates = candidates_of(parsed)
    planned = plan(parsed, candidates)
    table = table_of("contender", "candidates", "tuning: trainings × rounds × seeds", "final", "seed-runs")
    for name, one in planned.items():
        *rungs, final = (f"{s.items} × {s.rounds} × {s.seeds}" for s in (*one.rungs, one.final))
        table.add_row(
            name, str(one.candidates), ", ".join(rungs) or "–", final, f"{one.seed_runs:.1f}" if one.whole else "–"
        )
    out.print(table)
    tried: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, own in candidates.items():
        points = tuple((one.label, ", ".join(f"{k}={v}" for k, v in one.chosen.items()) or "–") for one in own)
        tried.setdefault(points, []).append(name)
    table = table_of("contenders", "candidate", "settings")
    for points, names in tried.items():
        for n, (label, settings) in enumerate(points):
            table.add_row(escape(", ".join(names)) if n == 0 else "", label, escape(settings))
        table.add_section()
    out.print(table)
    out.print(in_words(planned), soft_wrap=True, highlight=False)
