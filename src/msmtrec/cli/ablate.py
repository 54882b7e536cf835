"""`msmtrec ablate`: one contender, changed in one place at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from msmtrec.cli.console import SetOption, config_path, out, table_of
from msmtrec.cli.running import OutOption, ResumeOption, print_run, run_observed
from msmtrec.cli.watch import LogFormat, LogFormatOption, LogToOption, QuietOption, watching

if TYPE_CHECKING:
    from msmtrec.config.ablate import Ablate
    from msmtrec.studies.ablate import Expanded


def ablate(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="YAML file, a run directory, or a built-in name such as kuairand.")
    ],
    set_: SetOption = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="NAME", help="In place of ablate.of: who is changed.")
    ] = None,
    parts: Annotated[
        str | None, typer.Option("--parts", metavar="A,B", help="In place of ablate.parts: what is changed.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", help="In place of ablate.seeds: how many there are.")
    ] = None,
    out_dir: OutOption = None,
    resume: ResumeOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and train nothing.")] = False,
    quiet: QuietOption = False,
    log_format: LogFormatOption = LogFormat.text,
    log_to: LogToOption = None,
) -> None:
    """Train a contender, and beside it the same with one part removed, added or changed; compare each with it.

    Example: `msmtrec ablate runs/bench-kuairand --of recommended-stats --parts coordination,statistics --seeds 5`
    """
    from msmtrec.config.ablate import load_ablate

    names = None if parts is None else [name.strip() for name in parts.split(",")]

    def asked() -> Ablate:
        return load_ablate(config_path(config), tuple(set_ or ()), of=of, parts=names, seeds=seeds)

    if dry_run:
        _print_plan(_expanded(asked()))
        return
    with watching(quiet, log_format, log_to) as observer:
        from msmtrec.record.directory import check_free
        from msmtrec.record.events import Note

        parsed = asked()
        folder = out_dir or Path("runs") / parsed.config.name
        if not resume:
            check_free(folder, {}, resume=False)  # before the rows are read
        expanded = _expanded(parsed)
        for change, why in expanded.left_out:
            observer(Note(text=f"{change.name} is left out: {why}"))
        finished = run_observed(expanded.config, folder, resume, observer)
    print_run(finished)


def _expanded(parsed: Ablate) -> Expanded:
    from msmtrec.studies.ablate import expand  # torch with it: not before the config is known to be right

    return expand(parsed)


def _print_plan(expanded: Expanded) -> None:
    from msmtrec.studies.ablate import in_words, plan

    table = table_of("part", "contender", "setting", f"{expanded.base.name} has", "here")
    for line in plan(expanded):
        table.add_row(*map(escape, line))
    out.print(table)
    if expanded.left_out:
        table = table_of("left out", "why")
        for change, why in expanded.left_out:
            table.add_row(escape(change.name), escape(why))
        out.print(table)
    out.print(in_words(expanded), soft_wrap=True, highlight=False, markup=False)
