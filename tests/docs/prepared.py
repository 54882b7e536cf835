"""What the blocks of the pages find: small logs, and a finished run of them."""

from __future__ import annotations

import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

import msmtrec
from places import ROOT

LOGS, RUN, ROWS = "logs.csv", "runs/mine", "rows"
NEWER, JOINING = "newer.csv", "belgium.csv"


def write_logs(path: Path, rows: int = 600, countries: tuple[str, ...] = ("NL", "FR"), seed: int = 5) -> None:
    """The log of ten-minutes.md and of the pages on own logs: two countries, rows of each in the order of time."""
    draw = random.Random(seed)
    start = datetime(2026, 2, 20)
    lines = []
    for number in range(rows):
        for country in countries:
            click = draw.random() < 0.5
            moment = start + timedelta(minutes=60 * number)
            lines.append(
                {
                    "country": country,
                    "user_id": f"u{draw.randrange(30)}",
                    "item_id": f"i{draw.randrange(20)}",
                    "price": round(draw.uniform(1, 50), 2),
                    "categories": "|".join(draw.sample(["shoes", "sale", "books"], 2)),
                    "is_click": int(click),
                    "is_buy": int(click and draw.random() < 0.5),
                    "timestamp": moment.isoformat(),
                }
            )
    pl.DataFrame(lines).write_csv(path)


def finished_run(folder: Path, config: str) -> None:
    """Train the config of a page on such logs, for two rounds, into folder/runs/mine; the logs stay beside it."""
    from yaml import safe_load

    write_logs(folder / LOGS)
    raw = safe_load(config)
    raw["data"]["files"] = str(folder / LOGS)
    raw |= {"seeds": 1, "train": {"rounds": 2, "local_steps": 3, "batch_size": 32}, "fine_tune": False}
    msmtrec.run(raw, out=folder / RUN, caution=lambda _: None)


def lay_out(folder: Path, made: Path, *, run: bool) -> None:
    """What a page begins with.

    Args:
        made: where `finished_run` has worked.
        run: whether the run is there already; otherwise the page's own commands make it.
    """
    shutil.copy(made / LOGS, folder / LOGS)
    rows = pl.read_csv(folder / LOGS).filter(pl.col("country") == "NL")
    rows.write_csv(folder / f"{ROWS}.csv")
    rows.write_parquet(folder / f"{ROWS}.parquet")
    shutil.copy(ROOT / "configs" / "own-data.yaml", folder)
    write_logs(folder / NEWER, seed=6)
    write_logs(folder / JOINING, countries=("BE",), seed=7)
    if run:
        shutil.copytree(made / RUN, folder / RUN)
