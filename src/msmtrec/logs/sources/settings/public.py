"""What the settings of public data sets have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from msmtrec.logs.sources.settings.base import SourceSettings

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs


class PublicSource(SourceSettings):
    """A public data set.

    Args:
        leave_out: features that nothing reads, as if the release did not have them: `[user_id]` asks what is left
            without a user's history. Rows, splits and the users of tests stay as they are.
        crosses: lists of features whose values together are one more feature: `[[user_id, author_id]]` makes
            user_id_x_author_id, missing where a part is; shared where all its parts are. Parts have one id a row.
        cross_buckets: hash buckets of the common id space of each cross that is shared.
    """

    leave_out: tuple[str, ...] = ()
    crosses: tuple[tuple[str, ...], ...] = ()
    cross_buckets: int = Field(default=1 << 20, ge=1)

    @model_validator(mode="after")
    def _of_several(self) -> PublicSource:
        for parts in self.crosses:
            if len(set(parts)) < max(len(parts), 2):
                raise ValueError(f"crosses: a cross is of two different features or more, not {[*parts]}")
            if sum(set(parts) == set(others) for others in self.crosses) > 1:
                raise ValueError(f"crosses lists {[*parts]} twice; remove one")
            for name in parts:
                if name in self.leave_out:
                    raise ValueError(f"crosses: '{name}' is left out by leave_out; remove it from one of them")
        return self

    def load(self) -> Logs:
        return self.read().without(self.leave_out).crossed(self.crosses, self.cross_buckets)

    @abstractmethod
    def read(self) -> Logs:
        """All that the release has; `load` leaves features out, and crosses them."""

    @property
    def decides(self) -> str:
        """All settings that decide the rows, for a fingerprint."""
        return self.model_dump_json(exclude={"folder", "leave_out", "crosses", "cross_buckets"})
