"""`msmtrec add-scenario`: a new scenario joins a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from msmtrec.cli.console import check_run, err
from msmtrec.cli.running import BesideOption, free, print_run


def add_scenario(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of the finished run.")],
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="FILE", help="Its rows: data files, or a YAML file with a 'data' section."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--scenario", metavar="NAME", help="Which of the rows join; without --data: has no rows yet."),
    ] = None,
    contenders: Annotated[
        list[str] | None,
        typer.Option("--contender", metavar="NAME", help="Columns of the new table [default: all but pooled ones]."),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="Of its training, at most [default: as many as the run had].")
    ] = None,
    out_dir: BesideOption = None,
) -> None:
    """Add a scenario to a finished run, from no rows to many; the others are not trained again.

    Example: `msmtrec add-scenario runs/mine --data belgium.csv --out runs/with-belgium`
    """
    check_run(run)
    from msmtrec.config.parse import parse_data
    from msmtrec.experiment.adding import add_scenarios
    from msmtrec.experiment.continuing import newer_data
    from msmtrec.experiment.start import Start
    from msmtrec.runtime.allocator import keep_freed_memory

    keep_freed_memory()
    logs = None
    if data:
        own = {key: value for key, value in newer_data(Start.open(run), data).items() if key != "scenarios"}
        logs = parse_data({**own, **({"scenarios": list(names)} if names else {})}).load()
    with err.status("") as status:
        found = add_scenarios(
            run,
            logs,
            names=tuple(names or ()),
            out=out_dir or free(run),
            contenders=tuple(contenders or ()),
            rounds=rounds,
            status=status.update,
            caution=lambda text: err.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True, highlight=False),
        )
    print_run(found)
