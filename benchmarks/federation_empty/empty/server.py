"""Sends bytes to every node and waits for what they answer, again and again; it looks as often as msmtrec does.

Flower's own `send_and_receive` looks every three seconds only.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from empty.client import noise

app = ServerApp()
LOOK = 0.2
"""Seconds."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    asked = context.run_config
    while len(ids := list(grid.get_node_ids())) < int(asked["nodes"]):
        time.sleep(LOOK)
    with Path(str(asked["out"])).open("w") as out:
        for number in range(1, int(asked["exchanges"]) + 1):
            waiting = [one for node in ids for one in grid.push_messages([message(node, int(asked["down"]))])]
            while waiting:
                time.sleep(LOOK)
                waiting = [one for one in waiting if not answered(grid, one)]
            out.write(json.dumps({"round": number, "answered": len(ids)}) + "\n")
            out.flush()


def message(node: int, size: int) -> Message:
    return Message(noise(size), dst_node_id=node, message_type="query")


def answered(grid: Grid, number: str) -> bool:
    replies = list(grid.pull_messages([number]))
    assert not any(reply.has_error() for reply in replies), [reply.error.reason for reply in replies]
    return bool(replies)
