"""Ali-CCP (Ma et al. 2018): field 301 (three positions) as scenarios, click and conversion over impressions as tasks.

Processed form: ali_ccp_{train,val,test}.csv with a header, as Scenario-Wise-Rec and others distribute it.
Original form: see aliccp_original.py; it has no validation part.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.base.settings import Name, Settings, data_directory
from msmtrec.data.logs import SPLIT, SPLITS, Chunk, Logs
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, complete
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.split import by_hash
from msmtrec.logs.sources.aliccp_fields import FEW, MANY, MULTI, NUMERIC, SCENARIO
from msmtrec.logs.sources.aliccp_original import Original

_FILES = dict(zip(SPLITS, ("ali_ccp_train.csv", "ali_ccp_val.csv", "ali_ccp_test.csv"), strict=True))
_CONTRADICTORY = (pl.col("click") == 0) & (pl.col("purchase") == 1)


class AliCCP(Settings):
    """Ali-CCP.

    Args:
        folder: where the files of one of the two forms are; the default is Ali-CCP in the data directory.
        scenarios: values of field 301, in table order. The original form's are numbered as the processed form's: in the
            order in which they first occur in the training file.
        contradictions: what becomes of rows that say converted but not clicked: `drop` them (as most published work
            does) or `refuse` the log.
        buckets: hash buckets of every common id space with many values; the codes were made over all scenarios.
        validation: original form: share of the training file's users whose rows are validation rows.
        max_values: original form: how many values of a multi-valued field are kept, those with the largest weights.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["ali-ccp"] = "ali-ccp"
    folder: Path | None = None
    scenarios: tuple[Name, ...] = Field(("1", "2", "3"), min_length=1)
    contradictions: Literal["drop", "refuse"] = "drop"
    buckets: int = Field(1 << 16, ge=1)
    validation: float = Field(0.1, gt=0, lt=1)
    max_values: int = Field(5, ge=1)
    allow_one_class: bool = False

    def _files(self) -> Path:
        return self.folder or data_directory() / "Ali-CCP"

    def present(self) -> bool:
        """Whether one of the two forms is there."""
        try:
            return bool(self._find())
        except UserError:
            return False

    def _find(self) -> Processed | Original:
        folder = self._files()
        processed = Processed(folder)
        if not processed.missing():
            return processed
        original = Original(folder, self.max_values)
        if not original.missing():
            return original
        for form in (processed, original):
            if len(form.missing()) < len(form.names):
                raise UserError(f"{folder} holds an Ali-CCP log without {', '.join(form.missing())}; put it there")
        raise UserError(
            f"no Ali-CCP log in {folder}: neither {', '.join(_FILES.values())} nor the release's sample_train.tar.gz,"
            " sample_test.tar.gz or the four files in them; it is Tianchi data set 408, which asks for a login"
        )

    def load(self) -> Logs:
        """Look at the files; rows are read when they are needed.

        Raises:
            UserError: neither form is complete, a column is missing, or a scenario is named twice.
        """
        if len(set(self.scenarios)) < len(self.scenarios):
            raise UserError(f"data.scenarios names a scenario twice: {list(self.scenarios)}; remove one")
        form = self._find()
        files = snapshot(form.paths())
        many, few = IdSpace("hash", self.buckets), IdSpace("hash", 1024)
        lists = MULTI if isinstance(form, Original) else ()
        notes = [f"rows that convert without a click: {self.contradictions}"]
        if isinstance(form, Original):
            notes.append(f"{self.validation:.0%} of the training file's users are validation rows, by a hash")

        def stream() -> Iterator[Chunk]:
            rows = self._original(form) if isinstance(form, Original) else form.rows()
            for chunk in rows:
                kept = chunk.filter(~_CONTRADICTORY) if self.contradictions == "drop" else chunk
                kept = kept.filter(pl.col(SCENARIO).is_in(list(self.scenarios)))
                for (name,), own in kept.partition_by(SCENARIO, as_dict=True, maintain_order=True).items():
                    yield str(name), own

        return Logs(
            Schema(
                name="Ali-CCP",
                features=(
                    *(_field(name, many, self.max_values if name in lists else 0) for name in MANY),
                    *(Feature(name, shared=few) for name in FEW),
                    *(Feature(name, "numeric", missing=False) for name in NUMERIC),
                ),
                tasks=(Task("ctr", "click"), Task("ctcvr", "purchase", within="ctr")),
                scenarios=dict.fromkeys(self.scenarios, ("ctr", "ctcvr")),
                group="101",
            ),
            stream,
            fingerprint=f"{files.digest}:{self.model_dump_json(exclude={'folder'})}",
            origin=str(self._files()),
            notes=tuple(notes),
            allow_one_class=self.allow_one_class,
            files=files,
            parsed=True,
        )

    def _original(self, form: Original) -> Iterator[pl.DataFrame]:
        """Rows with SPLIT, scenarios numbered as they come."""
        numbers: dict[int, str] = {}
        for part in ("train", "test"):
            for rows in form.rows(part):
                if part == "train":
                    for value in rows.filter(~_CONTRADICTORY)[SCENARIO].drop_nulls().unique(maintain_order=True):
                        numbers.setdefault(value, str(len(numbers) + 1))
                users = rows["101"].cast(pl.String).fill_null("")
                split = by_hash(users, self.validation) if part == "train" else pl.lit(part)
                yield rows.with_columns(
                    pl.col(SCENARIO).replace_strict(numbers, default=None, return_dtype=pl.String),
                    split.alias(SPLIT),
                )


def _field(name: str, space: IdSpace, values: int) -> Feature:
    return Feature(name, "multi", space, max_values=values) if values else Feature(name, shared=space)


class Processed:
    """Three CSV files with a header."""

    names = tuple(_FILES.values())

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def missing(self) -> list[str]:
        return [path.name for path in self.paths() if not path.exists()]

    def paths(self) -> list[Path]:
        return [self.folder / name for name in self.names]

    def rows(self) -> Iterator[pl.DataFrame]:
        """Rows of the three files, with SPLIT."""
        kinds = dict.fromkeys((SCENARIO, *MANY, *FEW), "text")
        kinds |= dict.fromkeys((*NUMERIC, "click", "purchase"), "number")
        for split, path in zip(SPLITS, self.paths(), strict=True):
            last = columns_of(path)[-1]
            chunks = batches(scan(path, {last: "any", **kinds}), path)
            for rows in complete(chunks, last, path):
                yield rows.with_columns(pl.lit(split).alias(SPLIT))
