"""Ali-CCP (Ma et al. 2018): field 301 (three positions) as scenarios, click and conversion over impressions as tasks.

Processed form: ali_ccp_{train,val,test}.csv with a header, as Scenario-Wise-Rec and others distribute it.
Original form: see aliccp_original.py; it has no validation part.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.logs import SPLIT, SPLITS, Chunk, Logs
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, complete
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.split import by_hash
from msmtrec.logs.sources.aliccp_fields import FEW, MANY, MULTI, NUMERIC, SCENARIO
from msmtrec.logs.sources.aliccp_files import Processed, find
from msmtrec.logs.sources.aliccp_original import Impressions
from msmtrec.logs.sources.settings.aliccp import AliCCP

__all__ = ["AliCCP", "load"]

_CONTRADICTORY = (pl.col("click") == 0) & (pl.col("purchase") == 1)


def load(source: AliCCP) -> Logs:
    """Look at the files; rows are read when they are needed.

    Raises:
        UserError: neither form is complete, a column is missing, or a scenario is named twice.
    """
    if len(set(source.scenarios)) < len(source.scenarios):
        raise UserError(f"data.scenarios names a scenario twice: {list(source.scenarios)}; remove one")
    form = find(source.place)
    files = snapshot(form.paths())
    many, few = IdSpace("hash", source.buckets), IdSpace("hash", 1024)
    lists = () if isinstance(form, Processed) else MULTI
    notes = [f"rows that convert without a click: {source.contradictions}"]
    if isinstance(form, Processed):
        rows = partial(_processed, form)
    else:
        rows = partial(_original, source, Impressions(form, source.max_values))
        notes.append(f"{source.validation:.0%} of the training file's users are validation rows, by a hash")

    def stream() -> Iterator[Chunk]:
        for chunk in rows():
            kept = chunk.filter(~_CONTRADICTORY) if source.contradictions == "drop" else chunk
            kept = kept.filter(pl.col(SCENARIO).is_in(list(source.scenarios)))
            for (name,), own in kept.partition_by(SCENARIO, as_dict=True, maintain_order=True).items():
                yield str(name), own

    return Logs(
        Schema(
            name="Ali-CCP",
            features=(
                *(_field(name, many, source.max_values if name in lists else 0) for name in MANY),
                *(Feature(name, shared=few) for name in FEW),
                *(Feature(name, "numeric", missing=False) for name in NUMERIC),
            ),
            tasks=(Task("ctr", "click"), Task("ctcvr", "purchase", within="ctr")),
            scenarios=dict.fromkeys(source.scenarios, ("ctr", "ctcvr")),
            group="101",
        ),
        stream,
        fingerprint=f"{files.digest}:{source.decides}",
        origin=str(source.place),
        notes=tuple(notes),
        allow_one_class=source.allow_one_class,
        files=files,
        parsed=True,
    )


def _processed(form: Processed) -> Iterator[pl.DataFrame]:
    """Rows of the three files, with SPLIT."""
    kinds = dict.fromkeys((SCENARIO, *MANY, *FEW), "text")
    kinds |= dict.fromkeys((*NUMERIC, "click", "purchase"), "number")
    for split, path in zip(SPLITS, form.paths(), strict=True):
        last = columns_of(path)[-1]
        chunks = batches(scan(path, {last: "any", **kinds}), path)
        for rows in complete(chunks, last, path):
            yield rows.with_columns(pl.lit(split).alias(SPLIT))


def _original(source: AliCCP, impressions: Impressions) -> Iterator[pl.DataFrame]:
    """Rows with SPLIT, scenarios numbered as they come."""
    numbers: dict[int, str] = {}
    for part in ("train", "test"):
        for rows in impressions.rows(part):
            if part == "train":
                for value in rows.filter(~_CONTRADICTORY)[SCENARIO].drop_nulls().unique(maintain_order=True):
                    numbers.setdefault(value, str(len(numbers) + 1))
            users = rows["101"].cast(pl.String).fill_null("")
            split = by_hash(users, source.validation) if part == "train" else pl.lit(part)
            yield rows.with_columns(
                pl.col(SCENARIO).replace_strict(numbers, default=None, return_dtype=pl.String),
                split.alias(SPLIT),
            )


def _field(name: str, space: IdSpace, values: int) -> Feature:
    return Feature(name, "multi", space, max_values=values) if values else Feature(name, shared=space)
