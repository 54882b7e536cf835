"""A small experiment with one contender of every kind."""

from __future__ import annotations

from typing import Any

CONFIG: dict[str, Any] = {
    "name": "small",
    "data": {"source": "synthetic", "scenarios": 3, "rows": [1500, 700, 1000], "users": 60, "items": 40},
    "train": {"rounds": 3, "local_steps": 5, "batch_size": 64, "participation": 0.8},
    "methods": {
        "local": None,
        "fedavg-all": {"fine_tune": {"rounds": 3, "patience": 2}},
        "paper": {"method": "pf-msmtrec", "preset": "paper"},
        "recommended": {"method": "pf-msmtrec"},
        "pooled": None,
    },
    "seeds": 2,
}
COLUMNS = ("local", "fedavg-all", "fedavg-all+ft", "paper", "recommended", "pooled")
"""Of the result table: a fine-tuned contender has two."""
