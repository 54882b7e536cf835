"""Monday's run and Tuesday's rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from yaml import safe_load

import msmtrec
from data.encoding.test_encoder import FEATURES, own_logs
from logs.sources.tabular import BASE
from msmtrec.experiment.continuing import config_to_go_on
from msmtrec.experiment.start import Start

OPEN_CHOICES = {
    "method": "pf-msmtrec",
    "options": {"alignment": "cosine", "embeddings": "mixed", "personalization": "hyper", "penalty": 1e-3},
    "model": {"private_experts": 1, "residual_embeddings": 1},
}
"""Of PF-MSMTrec, all that are off by default."""
METHODS = {
    "local": {"fine_tune": {"rounds": 2}},
    "fedavg-all": None,
    "recommended": {"method": "pf-msmtrec", "tune": {"train.learning_rate": [0.003, 0.01]}},
    "paper": {"method": "pf-msmtrec", "preset": "paper"},
    "scaffold": None,
    "apple": None,
    "pfedme": None,
    "fedamp": None,
    "fedhca2": None,
    "item-mix": None,
    "residual": {"method": "fedavg-all", "model": {"residual_embeddings": 0.3}},
    "choices": OPEN_CHOICES,
    "pooled": None,
}


@dataclass(frozen=True)
class Days:
    """A finished run of Monday's rows, and Tuesday's, in which some items are new."""

    monday: Path
    tuesday: Path

    @property
    def data(self) -> dict[str, Any]:
        return {**safe_load((self.monday / "config.yaml").read_text())["data"], "files": str(self.tuesday)}

    def config(self, *contenders: str, **more: Any) -> dict[str, Any]:
        return {**config_to_go_on(Start.open(self.monday), [self.tuesday], contenders), **more}


def made(folder: Path) -> Days:
    """Train Monday's run."""
    own_logs(folder)
    monday, tuesday = folder / "log.csv", folder / "tuesday.csv"
    rows = pl.read_csv(monday)
    later = rows.with_columns(
        item=pl.when(pl.col("hour") % 6 == 0).then(pl.lit("launched today")).otherwise("item"),
        price=pl.col("price") * 1.3,
        price_again=pl.col("price_again") * 1.3,
    )
    later.sample(fraction=0.9, seed=3).sort("country").write_csv(tuesday)
    data = {
        **BASE,
        "files": str(monday),
        "features": safe_load(FEATURES),
        "split": {"column": "part"},
    }
    config = {
        "data": data,
        "model": {"embedding_dim": 4, "expert_layers": [8], "tower_layers": []},
        "train": {"rounds": 2, "local_steps": 6, "batch_size": 16},
        "methods": METHODS,
        "seeds": 2,
        "tune_candidates": 2,
    }
    msmtrec.run(config, out=folder / "monday", caution=lambda _: None)
    return Days(folder / "monday", tuesday)
