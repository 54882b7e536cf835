"""Flower's ClientApp: it carries a message to the node's resident process and the answer back. It loads no torch.

A node's own file is named by its `node-config`: `node="/path/to/node.yaml"`. In a simulation nodes have a partition
instead, and `nodes` of the run's config names the folder with their files, in the order of their names.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from msmtrec.deployed.place import ask
from msmtrec.deployed.talk import Frame

if TYPE_CHECKING:
    from msmtrec.deployed.desk import Desk

app = ClientApp()
HEADER, BODY, WHO = "header", "body", "who"
PARTITION = "partition-id"
"""Only a simulation has it."""
KEPT = 16
"""Nodes of a simulation that a process keeps in memory."""
_desks: dict[Path, Desk] = {}


@app.query()
def query(message: Message, context: Context) -> Message:
    """A question of the server's, or who this is."""
    path = node_file(context)
    if WHO in message.content.config_records:
        return Message(RecordDict({WHO: ConfigRecord({"name": path.parent.name})}), reply_to=message)
    frame = frame_of(message.content)
    answer = _simulated(path, frame) if PARTITION in context.node_config else ask(path, frame)
    return Message(record_of(answer), reply_to=message)


def _simulated(path: Path, frame: Frame) -> Frame:
    """In this process, which many nodes share: a resident process for each would be too many."""
    from msmtrec.deployed.desk import Desk  # loads torch, once

    desk = _desks.pop(path, None) or Desk.open(path)
    _desks[path] = desk  # the last one used stands last
    while len(_desks) > KEPT:
        del _desks[next(iter(_desks))]  # its memories are on disk
    return desk(frame)


def node_file(context: Context) -> Path:
    """Errors: FileNotFoundError where no file is named."""
    if "node" in context.node_config:
        return Path(str(context.node_config["node"]))
    files = sorted(Path(str(context.run_config["nodes"])).glob("*/node.yaml"))
    return files[int(context.node_config[PARTITION])]


def record_of(frame: Frame) -> RecordDict:
    """Header as text, body as one array of bytes, which Flower cuts into pieces where it is large."""
    body = Array("uint8", (len(frame.body),), "msmtrec", bytes(frame.body))
    return RecordDict({HEADER: ConfigRecord({HEADER: frame.header}), BODY: ArrayRecord({BODY: body})})


def frame_of(record: RecordDict) -> Frame:
    """Errors: KeyError where it is none of `record_of`."""
    header = record.config_records[HEADER][HEADER]
    return Frame(str(header), record.array_records[BODY][BODY].data)
