"""The encoders of a run, in its directory from the start: its models can be used without logs and cache."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from msmtrec.config.contender import Contender
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.table import EncodedData
from msmtrec.record.directory import encoder_folder, writing


def variant(contender: Contender) -> str:
    """How a contender sees the data: pooled, with shared id spaces, or all private."""
    if contender.entry.pooled:
        return "pooled"
    return "shared" if contender.shares_ids else "private"


def keep_encoders(run: Path, data: Mapping[str, EncodedData]) -> None:
    """Write what is not there yet: one folder per variant and table, each complete or absent.

    Raises:
        UserError: the directory cannot be written.
    """
    with writing(run):
        for name, encoded in data.items():
            for table in encoded.tables:
                folder = encoder_folder(run, name, table)
                if not folder.exists():
                    temporary = folder.with_name(f".{folder.name}.tmp")
                    shutil.rmtree(temporary, ignore_errors=True)
                    encoder_of(encoded, table).save(temporary)
                    temporary.rename(folder)
