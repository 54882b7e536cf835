"""Models that leave their run: a file per scenario, and what must stand beside it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from msmtrec.base.errors import UserError
from msmtrec.record.directory import file_name, write_json
from msmtrec.serving.card import model_card
from msmtrec.serving.finished import FinishedRun
from msmtrec.serving.network import Network
from msmtrec.serving.predictor import Predictor

Format = Literal["onnx", "torch"]


@dataclass(frozen=True)
class Exported:
    """One scenario's file.

    Args:
        hashed: fields whose values it takes as buckets, because ONNX has no hash of texts.
    """

    path: Path
    hashed: tuple[str, ...] = ()


def export(
    run: FinishedRun,
    folder: Path,
    scenario: str,
    *,
    form: Format,
    contender: str | None = None,
    seed: int | None = None,
) -> Exported:
    """Write one scenario's predictor into a folder, with its model card (`NAME.json`).

    `onnx`: one graph from raw columns to an output per task; where fields are hashed, the encoder stands beside it.
    `torch`: the networks alone as a `torch.export` program, from encoded rows to probabilities, and the encoder.

    Raises:
        UserError: as `FinishedRun.predictor`; the packages are not installed, or the folder cannot be written.
    """
    if form == "onnx" and any(find_spec(name) is None for name in ("onnx", "onnxscript")):
        raise UserError("an export as ONNX needs more packages: pip install 'msmtrec[onnx]'")
    predictor = run.predictor(scenario, contender=contender, seed=seed)
    name, card = file_name(scenario), model_card(run, predictor)
    hashed: tuple[str, ...] = ()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.{'onnx' if form == 'onnx' else 'pt2'}"
        if form == "onnx":
            from msmtrec.serving.onnx.export import save_onnx

            inputs = save_onnx(predictor, path, card)
            card |= {"inputs": {name: one.as_dict() for name, one in inputs.items()}}
            hashed = tuple(name.removesuffix(".bucket") for name, one in inputs.items() if one.buckets is not None)
        else:
            _save_torch(predictor, path)
        if form == "torch" or hashed:
            beside = folder / f"{name}-encoder"
            shutil.rmtree(beside, ignore_errors=True)
            predictor.encoder.save(beside)
        write_json(folder / f"{name}.json", card)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    return Exported(path, hashed)


def _save_torch(predictor: Predictor, path: Path) -> None:
    layout = predictor.encoder.layout
    rows = {0: torch.export.Dim("rows", min=1)}
    given = torch.zeros(3, layout.columns, dtype=torch.int32), torch.zeros(3, layout.numeric)
    program = torch.export.export(Network.of(predictor), given, dynamic_shapes=(rows, rows))
    tasks = json.dumps(predictor.tasks)
    torch.export.save(program, path, extra_files={"tasks.json": tasks})
