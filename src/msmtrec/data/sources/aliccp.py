"""Ali-CCP, processed form: field 301 (three values) as scenarios, click and conversion over impressions as tasks.

ali_ccp_{train,val,test}.csv with a header, as Scenario-Wise-Rec and others distribute it. The release's own split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from msmtrec.data.logs import SPLIT, SPLITS, Chunk, Logs
from msmtrec.data.reading import batches, scan
from msmtrec.data.snapshot import snapshot
from msmtrec.errors import UserError
from msmtrec.schema import Feature, IdSpace, Schema, Task
from msmtrec.settings import Name, Settings, data_directory

SCENARIO = "301"
MANY = ("101", "205", "206", "207", "210", "216", "508", "509", "702", "853", "109_14", "110_14", "127_14", "150_14")
"""Fields with many values: users, items, categories, shops, brands, and the histories' aggregates."""
FEW = ("121", "122", "124", "125", "126", "127", "128", "129")
NUMERIC = ("D109_14", "D110_14", "D127_14", "D150_14", "D508", "D509", "D702", "D853")
_FILES = dict(zip(SPLITS, ("ali_ccp_train.csv", "ali_ccp_val.csv", "ali_ccp_test.csv"), strict=True))


class AliCCP(Settings):
    """Ali-CCP.

    Args:
        folder: where the three files are; the default is Ali-CCP in the data directory.
        scenarios: values of field 301, in table order.
        contradictions: what becomes of rows that say converted but not clicked: `drop` them (as most published work
            does) or `refuse` the log.
        buckets: hash buckets of every common id space with many values; the codes were made over all scenarios.
    """

    source: Literal["ali-ccp"] = "ali-ccp"
    folder: Path | None = None
    scenarios: tuple[Name, ...] = Field(("1", "2", "3"), min_length=1)
    contradictions: Literal["drop", "refuse"] = "drop"
    buckets: int = Field(1 << 16, ge=1)
    allow_one_class: bool = False

    def _path(self, split: str) -> Path:
        return (self.folder or data_directory() / "Ali-CCP") / _FILES[split]

    def present(self) -> bool:
        """Whether the three files are there."""
        return all(self._path(split).exists() for split in SPLITS)

    def load(self) -> Logs:
        """Look at the files; rows are read when they are needed.

        Raises:
            UserError: a file or column is missing, or a scenario is named twice.
        """
        if len(set(self.scenarios)) < len(self.scenarios):
            raise UserError(f"data.scenarios names a scenario twice: {list(self.scenarios)}; remove one")
        paths = [self._path(split) for split in SPLITS]
        for path in paths:
            if not path.exists():
                raise UserError(
                    f"no Ali-CCP log {path}; the release is Tianchi data set 408, which asks for a login: put its"
                    f" processed form ({', '.join(_FILES.values())}) there"
                )
        files = snapshot(paths)
        many, few = IdSpace("hash", self.buckets), IdSpace("hash", 1024)
        return Logs(
            Schema(
                name="Ali-CCP",
                features=(
                    *(Feature(name, shared=many) for name in MANY),
                    *(Feature(name, shared=few) for name in FEW),
                    *(Feature(name, "numeric", missing=False) for name in NUMERIC),
                ),
                tasks=(Task("ctr", "click"), Task("ctcvr", "purchase", within="ctr")),
                scenarios=dict.fromkeys(self.scenarios, ("ctr", "ctcvr")),
                group="101",
            ),
            self._stream,
            fingerprint=f"{files.digest}:{self.model_dump_json(exclude={'folder'})}",
            origin=str(paths[0].parent),
            notes=(f"rows that convert without a click: {self.contradictions}",),
            allow_one_class=self.allow_one_class,
            files=files,
        )

    def _stream(self) -> Iterator[Chunk]:
        kinds = dict.fromkeys((SCENARIO, *MANY, *FEW), "text")
        kinds |= dict.fromkeys((*NUMERIC, "click", "purchase"), "number")
        for split in SPLITS:
            path = self._path(split)
            for rows in batches(scan(path, kinds), path):
                if self.contradictions == "drop":
                    rows = rows.filter(~((pl.col("click") == 0) & (pl.col("purchase") == 1)))
                rows = rows.filter(pl.col(SCENARIO).is_in(list(self.scenarios))).with_columns(
                    pl.lit(split).alias(SPLIT)
                )
                for (name,), own in rows.partition_by(SCENARIO, as_dict=True, maintain_order=True).items():
                    yield str(name), own
