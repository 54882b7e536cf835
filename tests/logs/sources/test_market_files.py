"""Four markets as they are published: tab-separated user, item, rating, without labels; all from YAML."""

from __future__ import annotations

import random
from pathlib import Path

from typer.testing import CliRunner

from msmtrec.cli.main import app
from msmtrec.config.parse import load_config

CONFIG = """
data:
  source: tabular
  files: {de: ratings_de.txt, jp: ratings_jp.txt, in: ratings_in.txt, mx: ratings_mx.txt}
  csv: {separator: tab, header: false, columns: [user, item, rating]}
  tasks:
    good: {expression: rating > 3}
    best: {column: rating, positive: [5], negative: [1, 2, 3, 4], within: good}
  tables:
    items: {files: items.csv, key: {asin: item}, csv: {separator: ";", decimal: ","}}
  features:
    user:
    item: {shared: {hash: 64}}
    price: {kind: numeric, scale: log}
    cheap: {expression: price < 3}
  split: {fractions: [.6, .2, .2]}
  group: user
train: {rounds: 1, local_steps: 2, batch_size: 32}
methods: [local, emb-only]
seeds: 1
"""


def test_four_markets_train_from_yaml_alone(tmp_path: Path) -> None:
    draw = random.Random(0)
    for market in ("de", "jp", "in", "mx"):
        rows = [(f"{market}{draw.randrange(20)}", f"B{draw.randrange(12):03d}", draw.randint(1, 5)) for _ in range(200)]
        (tmp_path / f"ratings_{market}.txt").write_text(
            "".join(f"{user}\t{item}\t{rating}\n" for user, item, rating in rows)
        )
    items = [f"B{item:03d};{item},5" for item in range(11)]
    (tmp_path / "items.csv").write_text("\n".join(["asin;price", *items]) + "\n")
    (tmp_path / "markets.yaml").write_text(CONFIG)
    logs = load_config(tmp_path / "markets.yaml").data.load()
    rows = logs.frame("de")
    assert rows.columns[:3] == ["user", "item", "rating"]
    first = rows.row(0, named=True)
    market = (tmp_path / "ratings_de.txt").read_text().splitlines()
    user, item, rating = market[0].split("\t")
    assert (first["user"], first["item"]) == (user, item)
    assert (first["good"], first["best"]) == (float(int(rating) > 3), float(int(rating) == 5))
    assert [row["price"] for row in rows.to_dicts()] == [
        None if line.split("\t")[1] == "B011" else int(line.split("\t")[1][1:]) + 0.5 for line in market
    ]
    found = CliRunner().invoke(app, ["train", str(tmp_path / "markets.yaml"), "--out", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    assert "emb-only" in found.output
    assert (tmp_path / "run" / "results.csv").exists()
