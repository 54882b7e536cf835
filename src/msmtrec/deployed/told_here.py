"""What a node's own rows tell, read where they are, before there is a deployment."""

from __future__ import annotations

from pathlib import Path

from msmtrec.config.parse import parse_data
from msmtrec.deployed.settings import NodeSettings
from msmtrec.deployed.told import Told, sealed


def told_here(path: Path, *, count: bool) -> Told:
    """Args:
        path: a node's file.
        count: read all rows, to say how many each split has.

    Raises:
        UserError: as `NodeSettings.load`; the rows are not there, or do not fit what is declared of them.
    """
    node = NodeSettings.load(path)
    logs = parse_data(node.data).load().only(node.scenarios, node.scenarios)
    rows: dict[str, dict[str, int]] = {}
    if count:
        from msmtrec.data.logs import SPLIT, SPLITS

        rows = {name: dict.fromkeys(SPLITS, 0) for name in logs.schema.scenarios}
        for scenario, chunk in logs.stream():
            for split in SPLITS:
                rows[scenario][split] += int((chunk[SPLIT] == split).sum())
        logs.files.check()
    return Told.model_validate({"timed": logs.time is not None, "rows": rows, "declared": sealed(logs.schema)})
