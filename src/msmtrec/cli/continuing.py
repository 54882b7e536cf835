"""`msmtrec continue`: train on from a finished run with newer rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmtrec.cli.console import SetOption, check_run
from msmtrec.cli.running import BesideOption, ResumeOption, free, print_run, run_observed
from msmtrec.cli.watch import LogFormat, LogFormatOption, LogToOption, QuietOption, watching


def go_on(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of the finished run.")],
    data: Annotated[
        list[Path],
        typer.Option("--data", metavar="FILE", help="Newer rows: data files, or a YAML file with a 'data' section."),
    ],
    contenders: Annotated[
        list[str] | None,
        typer.Option("--contender", metavar="NAME", help="Which to train on [default: the served one, and local]."),
    ] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="Rounds [default: as many as before].")] = None,
    set_: SetOption = None,
    out_dir: BesideOption = None,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_format: LogFormatOption = LogFormat.text,
    log_to: LogToOption = None,
) -> None:
    """Train on from a finished run with newer rows, into a new run directory.

    Example: `msmtrec continue runs/monday --data tuesday.csv --rounds 5 --out runs/tuesday`
    """
    with watching(quiet, log_format, log_to) as observer:
        check_run(run)
        from msmtrec.config.parse import parse_config
        from msmtrec.config.resolved import set_in_all
        from msmtrec.experiment.continuing import config_to_go_on
        from msmtrec.experiment.start import Start

        raw = config_to_go_on(Start.open(run), data, tuple(contenders or ()), rounds)
        for override in set_ or ():
            set_in_all(raw, override)
        finished = run_observed(parse_config(raw), out_dir or free(run), resume, observer)
    print_run(finished)
