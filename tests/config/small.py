"""Small configs that the tests change."""

INFINITE, NAN = float("inf"), float("nan")
TABULAR = {
    "source": "tabular",
    "files": "logs.csv",
    "scenario": "country",
    "tasks": {"click": None},
    "features": {"item": None},
    "split": {"time": "day", "train_until": "2026-02-01", "validation_until": "2026-02-08"},
}
BASE = {"data": {"source": "synthetic"}, "train": {"rounds": 2, "local_steps": 3}, "methods": {"local": None}}
