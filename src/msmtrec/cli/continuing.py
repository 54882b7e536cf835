"""`msmtrec continue`: train on from a finished run with newer rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmtrec.cli.console import SetOption


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
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="New run directory [default: beside RUN].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue it after an interruption.")] = False,
) -> None:
    """Train on from a finished run with newer rows, into a new run directory.

    Example: `msmtrec continue runs/monday --data tuesday.csv --rounds 5 --out runs/tuesday`
    """
    from msmtrec.base.yaml import apply_override
    from msmtrec.cli.main import _free, _run
    from msmtrec.config.parse import parse_config
    from msmtrec.experiment.continuing import config_to_go_on
    from msmtrec.experiment.start import Start

    raw = config_to_go_on(Start.open(run), data, tuple(contenders or ()), rounds)
    for override in set_ or ():
        apply_override(raw, override)
    _run(parse_config(raw), out_dir or _free(run), resume)
