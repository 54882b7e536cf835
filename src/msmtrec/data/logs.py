"""Raw impression logs of all scenarios, as a source hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import polars as pl

from msmtrec.errors import UserError
from msmtrec.schema import Feature, Schema

SPLITS = ("train", "validation", "test")
SPLIT = "__split"
"""Column every source adds: one of SPLITS for each row."""
POOLED = "pooled"
"""Name of the one scenario that holds everybody's rows."""
SCENARIO_FIELD = "__scenario"


@dataclass(frozen=True)
class Logs:
    """Rows before encoding.

    Args:
        schema: what the rows mean; `schema.scenarios` names the scenarios in table order.
        frames: scenario -> lazy rows with the feature, label and group columns and SPLIT.
        fingerprint: sha256 over the source files and everything that decides the rows.
        origin: where the rows came from, for people and error messages.
        notes: decisions a reader should know (rows dropped, values cut).
        allow_one_class: accept splits in which a task has one class only (its AUC is then missing).
    """

    schema: Schema
    frames: Mapping[str, pl.LazyFrame]
    fingerprint: str
    origin: str
    notes: tuple[str, ...] = ()
    allow_one_class: bool = False
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.frames:
            raise UserError(f"{self.origin}: no scenario has any rows; check the scenario column and the split")

    def pooled(self) -> Logs:
        """All rows as one scenario, with the scenario's name as a feature: what the privacy constraint costs."""
        schema = self.schema
        frames = []
        for name, frame in self.frames.items():
            missing = [t.label for t in schema.tasks if t.name not in schema.scenarios[name]]
            blanks = [pl.lit(None, dtype=pl.Float32).alias(label) for label in missing]
            frames.append(frame.with_columns(pl.lit(name).alias(SCENARIO_FIELD), *blanks))
        field_ = Feature(SCENARIO_FIELD)
        return replace(
            self,
            schema=replace(schema, features=(*schema.features, field_), scenarios={POOLED: schema.task_names}),
            frames={POOLED: pl.concat(frames, how="diagonal_relaxed")},
            parts={POOLED: tuple(self.frames)},
        )


def fingerprint_files(paths: list[Path]) -> str:
    """sha256 over names and contents, in the order given."""
    digest = sha256()
    for path in paths:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
