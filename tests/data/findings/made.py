"""Clean logs of three scenarios, into which one thing at a time is put that would spoil a run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.encode import encode
from msmtrec.data.findings.told import findings
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.table import EncodedData

N = 1000
"""Rows of a scenario: 600 train, 200 are for validation, 200 for the test."""
NAMES = ("NL", "FR", "US")
Change = Callable[[pl.DataFrame], pl.DataFrame]


def rows(seed: int) -> pl.DataFrame:
    """Of one scenario."""
    random = np.random.default_rng(seed)
    click = random.random(N) < 0.3
    return pl.DataFrame(
        {
            "user": [f"u{n}" for n in random.integers(0, 80, N)],
            "item": [str(n) for n in random.integers(1, 200, N)],
            "price": np.exp(random.normal(2, 1, N)).round(2),
            "age": random.integers(18, 90, N).astype(float),
            "click": click.astype(int),
            "buy": (click & (random.random(N) < 0.6)).astype(int),
            SPLIT: ["train"] * 600 + ["validation"] * 200 + ["test"] * 200,
        }
    )


SCHEMA = Schema(
    "toy",
    (
        Feature("user"),
        Feature("item", shared=IdSpace("hash", 512)),
        Feature("price", "numeric"),
        Feature("age", "numeric"),
    ),
    (Task("click"), Task("buy")),
    group="user",
)


def encoded(
    change: Change = lambda rows: rows,
    where: str = "FR",
    *,
    schema: Schema = SCHEMA,
    names: tuple[str, ...] = NAMES,
    share: bool = False,
    time: str | None = None,
) -> EncodedData:
    """The clean logs, one scenario's rows changed ("": all of them)."""
    frames = {name: rows(n) for n, name in enumerate(names)}
    frames = {name: change(frame) if where in ("", name) else frame for name, frame in frames.items()}
    tasks = {name: tuple(task.name for task in schema.tasks) for name in names}
    own = Schema(schema.name, schema.features, schema.tasks, tasks, group=schema.group)
    return encode(Logs(own, in_memory(frames), "f", "toy", time=time), share=share)


def told(change: Change = lambda rows: rows, where: str = "FR", **options: object) -> list[str]:
    """What is said of them."""
    return [found.text for found in findings(encoded(change, where, **options))]  # type: ignore[arg-type]


def first(column: str, values: object, count: int = N) -> Change:
    """The first rows' values of a column."""
    return lambda rows: rows.with_columns(
        pl.when(pl.int_range(pl.len()) < count).then(pl.lit(values)).otherwise(pl.col(column)).alias(column)
    )


def every(column: str, value: object, step: int) -> Change:
    """Every n-th row's value of a column."""
    return lambda rows: rows.with_columns(
        pl.when(pl.int_range(pl.len()) % step == 0).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )
