"""What all sources' settings have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from msmtrec.base.settings import Settings

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs


class SourceSettings(Settings, ABC):
    """A source's settings; `load` gives its logs."""

    @abstractmethod
    def load(self) -> Logs:
        """Look at the files; rows are read now, or when they are needed.

        Raises:
            UserError: something is missing, or is not what the settings say.
        """
