"""The server: what is federated, and how."""

import torch
from flwr.serverapp import ServerApp

from msmtrec.flower import MSMTrecStrategy
from two_layers.net import SCENARIOS, TASKS, Net

app = ServerApp()
ROLES = {
    "body.*": "expert.scenario",
    "towers.{task}.*": "tower",
    "habit": "local",
}


@app.main()
def main(grid, context):
    torch.manual_seed(0)
    kept = context.run_config["kept"]
    strategy = MSMTrecStrategy(
        Net().state_dict(),
        ROLES,
        tasks=TASKS,
        method=context.run_config["method"],
        scenarios=SCENARIOS,
        min_available_nodes=len(SCENARIOS),
        folder=f"{kept}/server" if kept else None,
    )
    strategy.start(grid=grid, num_rounds=int(context.run_config["rounds"]))
