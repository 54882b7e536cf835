"""AliExpress search logs: countries as scenarios, click (CTR) and click-and-buy (CTCVR) over impressions as tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from msmtrec.base.errors import UserError
from msmtrec.base.settings import data_directory
from msmtrec.logs.sources.aliexpress_files import find
from msmtrec.logs.sources.settings.public import PublicSource

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs

Country = Literal["NL", "ES", "FR", "US", "RU"]


class AliExpress(PublicSource):
    """AliExpress.

    Args:
        folder: where the countries are; the default is AliExpress in the data directory.
        countries: the scenarios, in table order.
        validation: share of the training file's search pages that are validation rows (the release has no such part).
        shared: hash buckets of a common id space for the categorical fields. Whether a code means the same in two
            countries is not documented, so by default every country keeps its own.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["aliexpress"] = "aliexpress"
    folder: Path | None = None
    countries: tuple[Country, ...] = Field(default=("NL", "ES", "FR", "US"), min_length=1)
    validation: float = Field(default=0.1, gt=0, lt=1)
    shared: int | None = Field(default=None, ge=1)
    allow_one_class: bool = False

    @property
    def place(self) -> Path:
        """Where the countries are."""
        return self.folder or data_directory() / "AliExpress"

    def present(self) -> bool:
        """Whether every country is there in one of the two forms."""
        try:
            return all(find(self.place, country) for country in self.countries)
        except UserError:
            return False

    def read(self) -> Logs:
        from msmtrec.logs.sources.aliexpress import load

        return load(self)
