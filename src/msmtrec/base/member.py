"""Who trains: one scenario of one seed's federation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Member:
    """One scenario of one seed's federation."""

    seed: int
    scenario: str
