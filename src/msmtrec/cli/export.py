"""`msmtrec export`: models of a finished run for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer
from rich.markup import escape

from msmtrec.base.errors import UserError
from msmtrec.cli.console import out
from msmtrec.cli.predict import CalibrationOption, ContenderOption, RunArgument, SeedOption, say


def export(
    run: RunArgument,
    folder: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the files go.")],
    form: Annotated[str, typer.Option("--format", metavar="onnx|torch", help="Which files.")] = "onnx",
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", metavar="NAME", help="Repeatable [default: all].")
    ] = None,
    contender: ContenderOption = None,
    seed: SeedOption = None,
    calibration: CalibrationOption = None,
) -> None:
    """Write a file per scenario that other runtimes score with, and a model card.

    onnx: one graph that takes raw columns and gives a probability per task. torch: a torch.export program for encoded
    rows, with the encoder beside it.

    Example: `msmtrec export runs/mine --output models`
    """
    from msmtrec.serving.export import export as write
    from msmtrec.serving.finished import Run

    if form not in ("onnx", "torch"):
        raise UserError(f"--format {form}: must be onnx or torch")
    finished = Run(run)
    for name in scenario or finished.scenarios:
        kind = cast(Literal["onnx", "torch"], form)
        found = write(
            finished,
            folder,
            name,
            form=kind,
            contender=contender,
            seed=seed,
            calibration=calibration,
            caution=say,
        )
        out.print(str(found.path), highlight=False, soft_wrap=True)
        if found.hashed:
            fields = escape(", ".join(found.hashed))
            out.print(f"[dim]  takes buckets for hashed fields ({fields}): the encoder is beside it[/]", soft_wrap=True)
