"""64 small scenarios trained side by side, against a loop over clients with a DataLoader and an optimiser each.

    python benchmarks/small_scenarios.py [--quick]

The loop is what a public trainer's clients would do one after the other; rows and shape are the same. Of ours only the
training of a round is measured, whatever else a round does.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from harness import TIMES, Alternative, begin, by_turns
from made import Made
from ours import parsed as config_of
from ours import rows_of
from peer import Peer, RowByRow, Settings, train
from results import Results, ratio
from torch.utils.data import DataLoader

MODEL = {"name": "mmoe", "experts": 4, "expert_layers": [32, 16], "tower_layers": [16], "embedding_dim": 8}
BATCH, EPOCHS = 64, 3
CLIENTS = 8
"""As many of the scenarios the loop trains: one is as long as another."""


def logs(scenarios: int) -> dict[str, Any]:
    return {"source": "synthetic", "scenarios": scenarios, "rows": 2000}


def together(scenarios: int, method: str) -> Alternative:
    methods = {"fedavg": None} if method == "fedavg" else {method: {"method": "pf-msmtrec", "preset": method}}
    train = {"local_epochs": EPOCHS, "batch_size": BATCH, "learning_rate": 1e-3}
    asked = {"data": logs(scenarios), "model": MODEL, "train": train, "methods": methods, "share": method != "fedavg"}
    return Alternative("ours.py", asked)


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """The loop over clients."""
    torch.set_num_threads(1)
    wanted = {"data": logs(asked["clients"]), "model": MODEL, "train": {"local_epochs": 1}}
    data = rows_of(wanted, config_of(wanted))
    settings = Settings(
        embedding=MODEL["embedding_dim"],
        norm=False,
        dropout=0.0,
        project=False,
        experts=MODEL["experts"],
        expert_layers=tuple(MODEL["expert_layers"]),
        tower_layers=tuple(MODEL["tower_layers"]),
        batch=BATCH,
    )
    clients = []
    for table in data.tables.values():
        rows = table.splits["train"]
        ids = np.array(rows.table_ids, np.int64)
        sizes = (table.private_rows, *[0] * (ids.shape[1] - 1))  # ids are rows of the table already
        own = Made(ids, np.array(rows.numeric), np.array(rows.labels), sizes)
        peer = Peer(sizes, own.numeric.shape[1], settings)
        peer.starts.zero_()
        loader: DataLoader = DataLoader(RowByRow(own), batch_size=BATCH, shuffle=True)  # type: ignore[type-arg]
        optimiser = torch.optim.Adam(peer.parameters(), lr=settings.rate, weight_decay=settings.decay)
        clients.append((peer, loader, optimiser, len(own)))
    train(*clients[0][:3], 3)
    began = time.process_time()
    for peer, loader, optimiser, count in clients:
        train(peer, loader, optimiser, asked["epochs"] * -(-count // BATCH))
    return {"cpu": time.process_time() - began, "rows": asked["epochs"] * sum(count for *_, count in clients)}


def main(quick: bool) -> None:
    about = (
        "1,400 training rows each, batches of 64, the demo's network. The loop's network has no template, whatever ours"
        " has; normalisation and dropout have neither."
    )
    scenarios = 16 if quick else 64
    results = Results("small_scenarios", f"{scenarios} small scenarios together", about, quick)
    known = {
        "loop": Alternative("small_scenarios.py", {"clients": CLIENTS, "epochs": 1}),
        "fedavg": together(scenarios, "fedavg"),
        "recommended": together(scenarios, "recommended"),
    }
    results.know(known)
    turns = by_turns(known, 1 if quick else TIMES)
    results.add(ratio("fedavg over a loop over clients", 8, turns, "fedavg", "loop"))
    results.add(ratio("recommended, with template, over a loop over clients", 8, turns, "recommended", "loop"))
    results.write()


if __name__ == "__main__":
    begin(main, measure)
