"""Sends bytes to every node and waits for what they answer, again and again."""

from __future__ import annotations

import json
import time
from pathlib import Path

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from empty.client import noise

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    asked = context.run_config
    while len(ids := list(grid.get_node_ids())) < int(asked["nodes"]):
        time.sleep(0.2)
    with Path(str(asked["out"])).open("w") as out:
        for number in range(1, int(asked["exchanges"]) + 1):
            messages = [Message(noise(int(asked["down"])), dst_node_id=node, message_type="query") for node in ids]
            replies = list(grid.send_and_receive(messages))
            wrong = [reply.error.reason for reply in replies if reply.has_error()]
            assert not wrong, wrong
            out.write(json.dumps({"round": number, "answered": len(replies)}) + "\n")
            out.flush()
            del messages, replies
