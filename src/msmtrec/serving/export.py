"""Models that leave their run: a file per scenario, and what must stand beside it."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from msmtrec.base.errors import Caution, UserError
from msmtrec.record.directory import file_name, write_json
from msmtrec.serving.card import model_card
from msmtrec.serving.finished import Run
from msmtrec.serving.labelled import LabelledRows
from msmtrec.serving.network import program

if TYPE_CHECKING:
    from msmtrec.serving.onnx.quantise import Measured

Format = Literal["onnx", "torch"]
QUANTISED = ("tables", "all")
"""What can be quantised: embedding tables alone, or matrix products too."""


@dataclass(frozen=True)
class Exported:
    """One scenario's file.

    Args:
        hashed: fields whose values it takes as buckets, because ONNX has no hash of texts.
        measured: of a quantised graph, what it lost.
        computed: features by expression, whose values it takes.
    """

    path: Path
    hashed: tuple[str, ...] = ()
    measured: Measured | None = None
    computed: tuple[str, ...] = ()


def export(
    run: Run,
    folder: Path,
    scenario: str,
    *,
    form: Format,
    contender: str | None = None,
    seed: int | None = None,
    calibration: str | None = None,
    quantise: str | None = None,
    rows: Path | None = None,
    caution: Callable[[str], None] = lambda text: warnings.warn(text, Caution, stacklevel=3),
) -> Exported:
    """Write one scenario's predictor into a folder, with its model card (`NAME.json`).

    `onnx`: one graph from raw columns to an output per task; where fields are hashed, the encoder stands beside it.
    `torch`: the networks alone as a `torch.export` program, from encoded rows to probabilities, and the encoder.

    Args:
        quantise: `tables` or `all`: 8-bit weights (`onnx.quantise`), whose loss of AUC is measured before they are
            written.
        rows: labelled rows for that; None reads the run's test rows again from its logs.

    Raises:
        UserError: as `Run.predictor`; the packages are not installed, the folder cannot be written, or there are no
            rows on which a quantised graph can be measured.
    """
    if quantise is not None and (form != "onnx" or quantise not in QUANTISED):
        raise UserError(f"quantise {quantise!r}: ONNX graphs are quantised in their {' or '.join(QUANTISED)}")
    if rows is not None and quantise is None:
        raise UserError("rows are for measuring a quantised graph; say what to quantise, or leave them out")
    packages = ("onnx", "onnxscript", *(["onnxruntime"] if quantise else []))
    if form == "onnx" and any(find_spec(name) is None for name in packages):
        raise UserError("an export as ONNX needs more packages: pip install 'msmtrec[onnx]'")
    predictor = run.predictor(scenario, contender=contender, seed=seed, calibration=calibration, caution=caution)
    name, card = file_name(scenario), model_card(run, predictor)
    hashed: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    measured: Measured | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.{'onnx' if form == 'onnx' else 'pt2'}"
        if form == "onnx":
            from msmtrec.serving.onnx.export import save_onnx, to_quantised, write_onnx

            if quantise is None:
                inputs = save_onnx(predictor, path, card)
            else:
                model, inputs, measured = to_quantised(predictor, quantise, LabelledRows(run, predictor, rows))
                card |= {"quantised": {"what": quantise, **measured.as_dict()}}
                write_onnx(model, inputs, path, card)
            card |= {"inputs": {name: one.as_dict() for name, one in inputs.items()}}
            computed = tuple(feature.name for feature in predictor.encoder.schema.features if feature.expression)
            hashed = tuple(name.removesuffix(".bucket") for name, one in inputs.items() if one.buckets is not None)
        else:
            torch.export.save(program(predictor), path, extra_files={"tasks.json": json.dumps(predictor.tasks)})
        if form == "torch" or hashed or computed:
            beside = folder / f"{name}-encoder"
            shutil.rmtree(beside, ignore_errors=True)
            predictor.encoder.save(beside)
        write_json(folder / f"{name}.json", card)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    return Exported(path, hashed, measured, computed)
