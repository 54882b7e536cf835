"""Rows of AliExpress's shape, made up and held in memory: 16 categorical fields, 63 numerics, 2 nested tasks.

What a step costs does not depend on which values a row has, so all are drawn alike. That is the hard case for large
vocabularies: hardly an id comes twice in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.data.table import EncodedData, Field, Layout, Rows, ScenarioTable

SMALL = (10, 4, 6, 2, 21, 7, 50, 8, 7, 2, 2, 2, 2, 2, 2, 2)
"""Values of each categorical field of the AliExpress release, about."""
LARGE = (100_000, 4, 6, 2, 21, 7, 50, 100_000, 7, 19_000, 2, 2, 2, 2, 2, 2)
"""The same with three fields of ids: 219,109 rows in all."""
VOCABULARIES = {"small": SMALL, "large": LARGE}
NUMERICS, TASKS = 63, ("ctr", "ctcvr")
HELD_OUT = 256
"""Validation and test rows of a scenario: the library wants some."""


@dataclass(frozen=True)
class Made:
    """N rows.

    Args:
        codes: [N, 16] int64, each field counted from 0.
        numeric: [N, 63] float32 in 0 … 1.
        labels: [N, 2] float32; the second only where the first is 1.
        sizes: values of each field.
    """

    codes: NDArray[np.int64]
    numeric: NDArray[np.float32]
    labels: NDArray[np.float32]
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def starts(self) -> NDArray[np.int64]:
        """[16] where each field begins when all share one table."""
        return np.cumsum((0, *self.sizes[:-1]))


def made(rows: int, vocabulary: str = "small", seed: int = 0) -> Made:
    random, sizes = np.random.default_rng(seed), VOCABULARIES[vocabulary]
    codes = np.stack([random.integers(0, size, rows) for size in sizes], 1)
    numeric = random.random((rows, NUMERICS), np.float32)
    score = numeric[:, 0] + codes[:, 4] / sizes[4] + random.normal(0, 0.5, rows)
    click = score > np.quantile(score, 0.9)
    labels = np.stack([click, click & (random.random(rows) < 0.3)], 1).astype(np.float32)
    return Made(codes, numeric, labels, sizes)


def encoded(rows: Made) -> EncodedData:
    """One scenario whose training rows these are; the first of them stand for validation and test too."""
    fields = tuple(Field(f"categorical_{n}", n, 1, shared=False) for n in range(len(rows.sizes)))
    layout = Layout(fields, NUMERICS, 0, TASKS, scenarios=("one",))
    features = (
        *(Feature(field.name) for field in fields),
        *(Feature(f"numerical_{n}", "numeric", missing=False) for n in range(NUMERICS)),
    )
    tasks = (Task(TASKS[0], "click"), Task(TASKS[1], "conversion", within=TASKS[0]))
    schema = Schema(name="made", features=features, tasks=tasks, scenarios={"one": TASKS}, group="search_id")
    ids = (rows.codes + rows.starts).astype(np.int32)
    nothing = {"scenario": np.broadcast_to(np.int64(0), len(rows)), "unit": np.zeros(len(rows), np.int32)}
    every = Rows(ids, rows.numeric, rows.labels, np.arange(len(rows)), **nothing)
    held_out = every.take(slice(0, min(HELD_OUT, len(rows))))
    splits = {"train": every, "validation": held_out, "test": held_out}
    parts = {split: {"one": slice(0, len(part))} for split, part in splits.items()}
    table = ScenarioTable("one", splits, sum(rows.sizes), parts, encoding={})
    return EncodedData(schema, layout, {"one": table}, splits, fingerprint="made", origin="made rows")
