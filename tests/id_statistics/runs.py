"""A finished run whose contenders know something of their ids, of own logs with days."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import msmtrec

CONTENDERS: dict[str, Any] = {
    "bias": {"options": {"least": 20}},
    "linear": None,
    "local": None,
    "local-summed": {"method": "local", "statistics": {"summed": True}},
    "emb-only": {"fine_tune": {"rounds": 1}, "model": {"residual_embeddings": 0.3}},
    "inside": {"method": "pf-msmtrec", "statistics": {"inputs": True}},
    "inside-only": {"method": "fedavg-all", "statistics": {"inputs": True, "wide": "none"}},
    "fading": {"method": "emb-only", "statistics": {"inputs": True, "decay": 0.8}},
    "pooled": None,
    "pooled-inside": {"method": "pooled", "model": {"name": "star"}, "statistics": {"inputs": True}},
}
SCENARIOS = ("NL", "FR")
DAYS = 12


def log(path: Path, seed: int = 0, first: int = 1, users: int = 40) -> None:
    """Clicks that hang on the user and the item: 12 days, of which the last two are validation's and test's."""
    random = np.random.default_rng(seed)
    count = 2500
    taste, good = np.random.default_rng(7).normal(size=(2, 200))
    user, item = random.integers(0, users, count), random.integers(0, 30, count)
    day = np.sort(random.integers(0, DAYS, count))
    country = random.choice(SCENARIOS, count, p=[0.7, 0.3])
    click = random.random(count) < 1 / (1 + np.exp(1 - taste[user] - good[item]))
    buy = click & (random.random(count) < 0.5)
    pl.DataFrame(
        {
            "country": country,
            "user": [f"u{number}" for number in user],
            "item": [f"i{number}" for number in item],
            "seen": [" ".join(f"i{n}" for n in random.integers(0, 30, k)) for k in random.integers(0, 3, count)],
            "price": random.random(count).round(3),
            "date": [f"2024-05-{first + number:02}" for number in day],
            "click": click.astype(int),
            "buy": buy.astype(int),
        }
    ).write_csv(path)


def config(path: Path, first: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "name": "known",
        "data": {
            "source": "tabular",
            "files": str(path),
            "scenario": "country",
            "group": "user",
            "features": {
                "user": {"shared": {"hash": 200}},
                "item": {"shared": {"hash": 300}},
                "seen": {"kind": "multi", "separator": " ", "shared": {"hash": 300}},
                "price": {"kind": "numeric"},
            },
            "tasks": {"click": None, "buy": None},
            "split": {
                "time": "date",
                "train_until": f"2024-05-{first + DAYS - 3:02}",
                "validation_until": f"2024-05-{first + DAYS - 2:02}",
            },
        },
        "model": {"embedding_dim": 4, "expert_layers": [8], "tower_layers": []},
        "train": {"rounds": 2, "local_steps": 6, "batch_size": 32, "dtype": "float64"},
        "statistics": {"least": 20},
        "methods": CONTENDERS,
        "seeds": 2,
        **more,
    }


@dataclass(frozen=True)
class KnownRun:
    folder: Path
    log: Path

    def rows(self, scenario: str, first: int = 1) -> pl.DataFrame:
        """Raw test rows."""
        day = f"2024-05-{first + DAYS - 1:02}"
        return pl.read_csv(self.log).filter((pl.col("country") == scenario) & (pl.col("date") == day))


def made(folder: Path) -> KnownRun:
    log(folder / "log.csv")
    msmtrec.run(config(folder / "log.csv"), out=folder / "run", caution=lambda _: None)
    return KnownRun(folder / "run", folder / "log.csv")
