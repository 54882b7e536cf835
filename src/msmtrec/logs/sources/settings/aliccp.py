"""Ali-CCP (Ma et al. 2018): field 301 (three positions) as scenarios, click and conversion over impressions as tasks.

Of two forms, the processed one is taken where it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from msmtrec.base.errors import UserError
from msmtrec.base.settings import Name, data_directory
from msmtrec.logs.sources.aliccp_files import find
from msmtrec.logs.sources.settings.public import PublicSource

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs


class AliCCP(PublicSource):
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
    scenarios: tuple[Name, ...] = Field(default=("1", "2", "3"), min_length=1)
    contradictions: Literal["drop", "refuse"] = "drop"
    buckets: int = Field(default=1 << 16, ge=1)
    validation: float = Field(default=0.1, gt=0, lt=1)
    max_values: int = Field(default=5, ge=1)
    allow_one_class: bool = False

    @property
    def place(self) -> Path:
        """Where the files are."""
        return self.folder or data_directory() / "Ali-CCP"

    def present(self) -> bool:
        """Whether one of the two forms is there."""
        try:
            return bool(find(self.place))
        except UserError:
            return False

    def read(self) -> Logs:
        from msmtrec.logs.sources.aliccp import load

        return load(self)
