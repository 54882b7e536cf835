"""`msmtrec export`: models of a finished run for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from rich.markup import escape

from msmtrec.base.errors import UserError
from msmtrec.cli.console import check_run, out
from msmtrec.cli.predict import CalibrationOption, ContenderOption, RunArgument, SeedOption, say

if TYPE_CHECKING:
    from msmtrec.serving.onnx.quantise import Measured


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
    quantise: Annotated[
        str | None, typer.Option("--quantise", metavar="tables|all", help="8-bit weights, and what they lose.")
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option("--rows", metavar="FILE", help="Labelled rows to measure that on [default: the test rows]."),
    ] = None,
) -> None:
    """Write a file per scenario that other runtimes score with, and a model card.

    onnx: one graph that takes raw columns and gives a probability per task. torch: a torch.export program for encoded
    rows, with the encoder beside it.

    Example: `msmtrec export runs/mine --output models`
    """
    check_run(run)
    from msmtrec.serving.export import export as write
    from msmtrec.serving.finished import Run

    if rows is not None and len(scenario or ()) != 1:
        raise UserError("--rows are rows of one scenario; name it with --scenario")
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
            quantise=quantise,
            rows=rows,
            caution=say,
        )
        out.print(str(found.path), highlight=False, soft_wrap=True)
        if found.computed:
            fields = escape(", ".join(found.computed))
            out.print(
                f"[dim]  takes features by expression ({fields}) as computed values: the encoder is beside it[/]",
                soft_wrap=True,
            )
        if found.hashed:
            fields = escape(", ".join(found.hashed))
            out.print(f"[dim]  takes buckets for hashed fields ({fields}): the encoder is beside it[/]", soft_wrap=True)
        if found.measured:
            out.print(f"[dim]  {escape(loss(found.measured))}[/]", soft_wrap=True, highlight=False)


def loss(measured: Measured) -> str:
    """What 8 bits cost and save, in a line."""
    before, after = (size / 1e6 for size in measured.bytes)
    areas = [
        f"{task} {one:.5f} → {two:.5f} ({two - one:+.5f})" if one is not None and two is not None else f"{task} –"
        for task, (one, two) in measured.auc.items()
    ]
    return (
        f"{before:.2f} → {after:.2f} MB; AUC {', '.join(areas)}; largest difference of a probability"
        f" {measured.furthest:.1e}; measured on {measured.count:,} rows: {measured.rows}"
    )
