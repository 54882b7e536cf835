"""A finished run of own logs: a feature of every kind, one task that only NL has, two seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from yaml import safe_load

import msmtrec
from data.encoding.test_encoder import FEATURES, own_logs
from logs.sources.tabular import BASE


@dataclass(frozen=True)
class OwnRun:
    """A run, and its log as the user has it: one CSV file with all columns."""

    folder: Path
    log: Path

    @property
    def loaded(self) -> msmtrec.Run:
        return msmtrec.load(self.folder)

    def rows(self, scenario: str, part: str = "test") -> pl.DataFrame:
        """All columns of the log, nothing divided or replaced."""
        frame = pl.read_csv(self.log, schema_overrides={"price_cut": pl.Float64}, null_values=["none"])
        return frame.filter((pl.col("country") == scenario) & (pl.col("part") == part))


@pytest.fixture(scope="session")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> OwnRun:
    folder = tmp_path_factory.mktemp("own")
    own_logs(folder)
    path = folder / "log.csv"
    frame = pl.read_csv(path).with_columns(
        buy=pl.when(pl.col("country") == "NL").then(pl.col("click") * (pl.col("hour") % 2)),
        code=pl.when(pl.col("code") == 2).then(pl.lit("none")).otherwise(pl.col("code").cast(pl.String)),
    )
    frame.write_csv(path)
    data: dict[str, Any] = {
        **BASE,
        "files": str(path),
        "features": safe_load(FEATURES),
        "tasks": {"click": None, "buy": {"scenarios": ["NL"]}},
        "split": {"column": "part"},
        "missing": ["none"],
    }
    config = {
        "data": data,
        "model": {"embedding_dim": 4, "expert_layers": [8], "tower_layers": []},
        "train": {"rounds": 2, "local_steps": 6, "batch_size": 16, "dtype": "float64"},
        "methods": {
            "fedavg-all": None,
            "recommended": {"method": "pf-msmtrec"},
            "residual": {"method": "emb-only", "model": {"residual_embeddings": 0.3}},
            "pooled": None,
            "star": {"method": "pooled", "model": {"name": "star"}},
        },
        "seeds": 2,
    }
    msmtrec.run(config, out=folder / "run", caution=lambda _: None)
    return OwnRun(folder / "run", path)
