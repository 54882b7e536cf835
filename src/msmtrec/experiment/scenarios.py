"""What the server half of a training has: what it is told of the scenarios, and how it reaches them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msmtrec.base.member import Member
from msmtrec.federation.messages import Exchange
from msmtrec.federation.standing import Standing
from msmtrec.methods.base import Method
from msmtrec.models.base import Model


@dataclass(frozen=True)
class Ground:
    """What a server knows of a contender: no row, no vocabulary, no scaler.

    Args:
        rows: scenario -> training rows that count, in table order.
        sent: bytes that statistics of ids took up and down, of one federation, before the first round.
    """

    method: Method[Any]
    model: Model
    rows: Mapping[str, int]
    sent: tuple[int, int] = (0, 0)

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(self.rows)

    def members(self, seeds: Sequence[int]) -> list[Member]:
        return members_of(seeds, self.scenarios)


def members_of(seeds: Iterable[int], scenarios: Sequence[str]) -> list[Member]:
    """One federation after the other, scenarios in table order."""
    return [Member(seed, name) for seed in seeds for name in scenarios]


class Scenarios(Exchange, Protocol):
    """All scenarios of a contender, wherever they are."""

    def checkpoint(self, folder: Path, standing: Standing[Any], lengths: Mapping[str, int]) -> None:
        """Everybody can go on from here. lengths: of the files that are written line by line."""
        ...

    def keep(self, column: str, members: Sequence[Member], folder: Path) -> None:
        """Models of best rounds become files where the scenarios are; `validation.json` in the column's folder.

        Raises:
            Diverged: a scenario has no validation AUC.
        """
        ...
