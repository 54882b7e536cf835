"""What travels between a Strategy and its scenarios, as Flower's records: arrays by the network's own names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from zipfile import BadZipFile

import torch
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from torch import Tensor

from msmtrec.base.packing import pack, unpack
from msmtrec.base.parameters import Parameters
from msmtrec.deployed.strategy.stacked import Stacked
from msmtrec.methods.base import Offer

Kind = TypeVar("Kind")
OWN = "msmtrec"
"""The ConfigRecord of what is ours, beside the one that a user fills."""
ANCHOR, IDS, TOUCHES = "anchor", "ids", "touches"
"""ArrayRecords: what the local penalty refers to; which rows of a table are sent, and how often each was used."""
ASKS, WHO, OFFER = "asks", "who", "offer"
TENSORS, PLAIN = "tensors", "plain"
SCENARIO, TASKS = "scenario", "tasks"
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    EOFError,
    OSError,
    MemoryError,
    RecursionError,
    BadZipFile,
)
"""What reading a message of somebody else's making may raise."""


@dataclass(frozen=True)
class Offered:
    """The second exchange of a round, as it travels. stacked: of the offer's parameters."""

    round: int
    offer: Offer
    stacked: tuple[Stacked, ...]
    tasks: tuple[str, ...]


def arrays_of(parameters: Mapping[str, Tensor]) -> ArrayRecord:
    return ArrayRecord(dict(parameters))


def tensor_of(record: ArrayRecord, name: str) -> Tensor:
    """With memory of its own.

    Raises:
        ValueError: it is no array of numbers.
    """
    try:
        found = torch.from_numpy(record[name].numpy().copy())
    except UNREADABLE as error:
        raise ValueError(f"sent '{name}' in a form that cannot be read ({type(error).__name__})") from error
    if found.is_complex():
        raise ValueError(f"sent '{name}' of complex numbers")
    return found


def tensors_of(record: ArrayRecord) -> Parameters:
    """All of them; errors as `tensor_of`."""
    return {name: tensor_of(record, name) for name in record}


def packed(value: Any, asks: str) -> RecordDict:
    """Plain data and tensors, as a question or its answer."""
    tensors, plain = pack(value)
    text = json.dumps(plain, allow_nan=False)
    return RecordDict({OWN: ConfigRecord({ASKS: asks, PLAIN: text}), TENSORS: arrays_of(tensors)})


def unpacked(kind: type[Kind], record: RecordDict) -> Kind:
    """What `packed` was given.

    Raises:
        ValueError: it is nothing of that kind.
    """
    try:
        tensors = tensors_of(record.array_records[TENSORS])
        return unpack(kind, tensors, json.loads(str(record.config_records[OWN][PLAIN])))
    except UNREADABLE as error:
        raise ValueError(f"an answer that cannot be read ({type(error).__name__})") from error


def number_in(records: Mapping[str, MetricRecord], key: str) -> float | None:
    """The first record's that has it; None where none has, or it is no number."""
    for record in records.values():
        if isinstance(value := record.get(key), int | float):
            return float(value)
    return None
