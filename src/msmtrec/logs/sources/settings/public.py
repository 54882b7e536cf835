"""What the settings of public data sets have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from msmtrec.logs.sources.settings.base import SourceSettings

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs


class PublicSource(SourceSettings):
    """A public data set.

    Args:
        leave_out: features that nothing reads, as if the release did not have them: `[user_id]` asks what is left
            without a user's history. Rows, splits and the users of tests stay as they are.
    """

    leave_out: tuple[str, ...] = ()

    def load(self) -> Logs:
        return self.read().without(self.leave_out)

    @abstractmethod
    def read(self) -> Logs:
        """All that the release has; `load` leaves features out."""

    @property
    def decides(self) -> str:
        """All settings that decide the rows, for a fingerprint."""
        return self.model_dump_json(exclude={"folder", "leave_out"})
