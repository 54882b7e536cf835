"""A scenario: its own rows, its own loop."""

import torch
from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from msmtrec.flower import answer, put, upload_of
from two_layers.net import SCENARIOS, Net, losses, rows_of

app = ClientApp()


def own(context):
    """(name, folder, rows to train on, rows held out) of the scenario that this node is."""
    name, kept = SCENARIOS[context.node_config["partition-id"]], context.run_config["kept"]
    x, y = rows_of(name)
    return name, f"{kept}/{name}" if kept else None, (x[:150], y[:150]), (x[150:], y[150:])


@app.train()
def train(message, context):
    _, folder, rows, _ = own(context)
    model = Net()
    received = put(model, message, context, folder=folder)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(10):
        loss = sum(task.mean() for task in losses(model, *rows).values()) + received.penalty(model)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return upload_of(model, received, rows=len(rows[0]), metrics={"loss": loss.item()})


@app.query()
def query(message, context):
    name, folder, _, held_out = own(context)
    return answer(
        message,
        context,
        scenario=name,
        model=Net(),
        losses=lambda model: losses(model, *held_out),
        folder=folder,
    )


@app.evaluate()
def evaluate(message, context):
    _, folder, _, held_out = own(context)
    model = Net()
    put(model, message, context, folder=folder)
    with torch.no_grad():
        found = {task: loss.mean().item() for task, loss in losses(model, *held_out).items()}
    metrics = MetricRecord({**found, "num-examples": len(held_out[0])})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
