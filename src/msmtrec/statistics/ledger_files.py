"""A ledger as a file, in the run directory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from msmtrec.base.errors import UserError
from msmtrec.statistics.history import History, Seen
from msmtrec.statistics.ledger import Ledger


def save_ledger(path: Path, ledger: Ledger) -> None:
    """Counts and sums in float64, as they are."""
    arrays = {"numbers": ledger.numbers, "known": ledger.seen.known, "ups": ledger.seen.ups}
    for number, history in enumerate(ledger.fields.values()):
        arrays |= {f"{number}.keys": history.keys, f"{number}.sums": history.sums}
    save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path, {"fields": json.dumps([*ledger.fields])})


def load_ledger(path: Path) -> Ledger:
    """What `save_ledger` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            names = json.loads(file.metadata()["fields"])
        units = len(arrays["numbers"])
        fields = {
            name: History(units, arrays[f"{number}.keys"], arrays[f"{number}.sums"])
            for number, name in enumerate(names)
        }
        return Ledger(arrays["numbers"], Seen(arrays["known"], arrays["ups"]), fields)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged; bring it back, or train again") from error
