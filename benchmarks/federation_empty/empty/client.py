"""Answers at once with as many bytes as it is asked for. No two are alike: Flower sends equal pieces once."""

from __future__ import annotations

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def noise(size: int) -> RecordDict:
    data = np.random.default_rng().bytes(size)
    return RecordDict({"body": ArrayRecord({"body": Array("uint8", (size,), "bytes", data)})})


@app.query()
def query(message: Message, context: Context) -> Message:
    return Message(noise(int(context.run_config["up"])), reply_to=message)
