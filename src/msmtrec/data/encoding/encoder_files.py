"""An encoder's folder: `encoder.json` · `vocabularies.parquet` · `scalers.safetensors`. Nothing in it is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.scaling import Quantile, Scaler, Standard
from msmtrec.data.encoding.vectors import Each
from msmtrec.data.snapshot import digest_of
from msmtrec.data.table import Layout

if TYPE_CHECKING:
    from msmtrec.data.encoding.encoder import Encoder

FORMAT = 3
"""Raised whenever an encoder of an earlier version would encode otherwise, or cannot be read."""
SETTINGS, VOCABULARIES, SCALERS = "encoder.json", "vocabularies.parquet", "scalers.safetensors"


def save(encoder: Encoder, folder: Path) -> None:
    """Write a new folder; `encoder.json` comes last and has the digests of the others."""
    folder.mkdir(parents=True)
    listed = [
        values.to_frame("value").select(pl.lit(name).alias("field"), "value")
        for name, values in encoder.vocabularies.items()
    ]
    empty = pl.DataFrame(schema={"field": pl.String, "value": pl.String})
    pl.concat([empty, *listed]).write_parquet(folder / VOCABULARIES)
    arrays = {
        f"{name}/{part}": array for name, scaler in encoder.scalers.items() for part, array in _arrays(scaler).items()
    }
    arrays |= {f"{name}/each": np.stack([each.means, each.deviations]) for name, each in encoder.vectors.items()}
    save_file(arrays, folder / SCALERS)
    settings = {
        "format": FORMAT,
        "table": encoder.table,
        "fingerprint": encoder.fingerprint,
        "schema": encoder.schema.as_dict(),
        "layout": asdict(encoder.layout) | {"scenarios": _numbered(encoder.layout.scenarios)},
        "kinds": dict(encoder.kinds),
        "vocabularies": list(encoder.vocabularies),
        "digests": {name: digest_of(folder / name) for name in (VOCABULARIES, SCALERS)},
    }
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n")


def load(folder: Path) -> dict[str, Any]:
    """What an encoder is made of.

    Raises:
        UserError: the folder is absent, damaged, or of another version.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text())
        if settings["format"] != FORMAT:
            raise UserError(f"{folder} holds an encoder of another version of msmtrec; use the version that wrote it")
        for name, digest in settings["digests"].items():
            if digest_of(folder / name) != digest:
                raise UserError(f"{folder / name} is damaged; bring it back, or train again")
        schema = Schema.from_dict(settings["schema"])
        values = pl.read_parquet(folder / VOCABULARIES).partition_by("field", as_dict=True, maintain_order=True)
        arrays = load_file(folder / SCALERS)
        return {
            "table": settings["table"],
            "schema": schema,
            "layout": Layout.from_dict({**settings["layout"], "scenarios": _named(settings["layout"]["scenarios"])}),
            "vocabularies": {name: values[name,]["value"] for name in settings["vocabularies"]},
            "scalers": {feature.name: _scaler(feature.name, feature.scale, arrays) for feature in schema.numeric},
            "vectors": {feature.name: Each(*arrays[f"{feature.name}/each"]) for feature in schema.vectors},
            "kinds": settings["kinds"],
            "fingerprint": settings["fingerprint"],
        }
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError, SafetensorError) as error:
        raise UserError(f"{folder} holds no encoder, or a damaged one; bring it back, or train again") from error


def _numbered(scenarios: tuple[str, ...]) -> dict[str, Any]:
    """How many there are, and the known ones' numbers: the files of all scenarios together do not grow with K²."""
    return {"count": len(scenarios), "known": {name: number for number, name in enumerate(scenarios) if name}}


def _named(raw: Mapping[str, Any]) -> list[str]:
    names = {number: name for name, number in raw["known"].items()}
    return [names.get(number, "") for number in range(raw["count"])]


def _arrays(scaler: Scaler) -> dict[str, NDArray[np.float64]]:
    if isinstance(scaler, Standard):
        return {"standard": np.array([scaler.mean, scaler.deviation, scaler.constant])}
    return {"knots": scaler.knots, "scores": scaler.scores}


def _scaler(name: str, scale: str, arrays: Mapping[str, NDArray[np.float64]]) -> Scaler:
    if scale == "quantile":
        return Quantile(arrays[f"{name}/knots"], arrays[f"{name}/scores"])
    mean, deviation, constant = arrays[f"{name}/standard"].tolist()
    return Standard(mean, deviation, bool(constant))
