"""What a node has of an experiment once it has read its rows."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.config.contender import Contender
from msmtrec.config.parse import Config, parse_data
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData
from msmtrec.deployed.messages import Begin, Facts, Key
from msmtrec.deployed.told import sealed
from msmtrec.experiment.described import describe, environment, versions
from msmtrec.experiment.encoders import keep_encoders, variant
from msmtrec.experiment.run import candidates_of, on_device, settle
from msmtrec.record import directory


@dataclass(frozen=True)
class NodeRun:
    """A run directory of some scenarios, and their encoded rows.

    Args:
        data: variant -> rows.
        threads, device: of contenders that do not set their own.
    """

    folder: Path
    config: Config
    data: Mapping[str, EncodedData]
    _: KW_ONLY
    threads: int
    device: str

    @classmethod
    def open(
        cls, folder: Path, data: Mapping[str, Any], scenarios: tuple[str, ...], begin: Begin, cache: Path | None
    ) -> NodeRun:
        """Read the rows, or what the cache has of them; go on where the directory has this run already.

        Args:
            data: the section of the node's own config.
            scenarios: that the node has.

        Raises:
            UserError: anything that somebody at the node can repair.
        """
        agreed = parse_agreed(json.loads(begin.config))
        config = Config(
            name=agreed.name,
            data=parse_data(data),
            contenders=agreed.contenders,
            seeds=agreed.seeds,
            jobs=1,
            tune_candidates=agreed.tune_candidates,
        )
        for name in scenarios:
            if name not in begin.scenarios:
                raise UserError(f"the federation has no scenario '{name}'; it has {', '.join(begin.scenarios)}")
        there = (folder / directory.CONFIG).exists()
        directory.open_run(folder, config.as_dict(), resume=there)
        logs = config.load().only(scenarios, begin.among(scenarios))
        contenders = [contender for candidates in config.contenders for contender in candidates]
        kinds = dict.fromkeys(variant(contender) for contender in contenders)
        encoded = encode_all(logs, {kind: Variant(share=kind == "shared") for kind in kinds}, cache=cache)
        describe(folder, encoded, logs.notes)
        keep_encoders(folder, encoded)
        threads, device = settle(folder, config)
        directory.write_json(folder / directory.ENVIRONMENT, environment(config.jobs, threads, device))
        directory.write_json(folder / directory.CANDIDATES, candidates_of(config.contenders))
        return cls(folder, config, encoded, threads=threads, device=device)

    def facts(self) -> Facts:
        """What may be known of the rows elsewhere."""
        some = next(iter(self.data.values()))
        rows = {name: {split: len(table.splits[split]) for split in SPLITS} for name, table in some.tables.items()}
        known = {name: version or "" for name, version in versions().items()}
        schema = json.dumps(sealed(some.schema).as_dict())
        return Facts(schema, rows, some.ordered, packages=known, clock=time.time())

    def contender(self, key: Key) -> Contender:
        """Errors: UserError where the run has no such training."""
        for candidates in self.config.contenders:
            for contender in candidates:
                if (contender.name, contender.candidate) == (key.contender, key.candidate):
                    return on_device(contender, self.device)
        raise UserError(f"the run has no training '{key.contender}/{key.candidate}'")

    def folder_of(self, key: Key) -> Path:
        return directory.contender_folder(self.folder, key.contender, key.candidate)

    def rows_of(self, contender: Contender) -> EncodedData:
        return self.data[variant(contender)]
