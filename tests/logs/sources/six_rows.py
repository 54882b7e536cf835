"""Logs of six rows - two of each split, with both labels - in a file of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.logs import Logs
from msmtrec.logs.sources.tabular import Tabular

LABELS = {"part": ["train", "train", "validation", "validation", "test", "test"], "is_click": [1, 0] * 3}
BASE: dict[str, Any] = {
    "source": "tabular",
    "tasks": {"click": {"column": "is_click"}},
    "features": {"item_id": None},
    "split": {"column": "part"},
}


def log(files: Any, **changes: Any) -> Logs:
    return build(Tabular, {**BASE, "files": files, **changes}, "data").load()


def parquet(path: Path, **columns: Any) -> str:
    """Six rows: the given columns beside split and label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**LABELS, **columns}), path)
    return str(path)


def csv(path: Path, **columns: list[Any]) -> str:
    """The same as CSV; values are written as they are given."""
    table = {**LABELS, **columns}
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def values(logs: Logs, scenario: str, column: str = "item_id") -> list[Any]:
    """What the vocabulary of a column holds."""
    return encoder_of(encode(logs, share=False), scenario).vocabularies[column].to_list()
