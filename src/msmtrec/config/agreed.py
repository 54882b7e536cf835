"""What the scenarios of a deployed federation agree on: all of a config but the rows, which each has for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import known
from msmtrec.config.contender import Contender
from msmtrec.config.keys import SEEDS, TOP
from msmtrec.config.parse import parse_contenders, parse_name, parse_seeds

_HERE = {
    "data": "each scenario says where its own rows are",
    "bench": "tune is for a federation what bench is for one machine",
    "ablate": "it has variants of one contender; list them in methods",
    "start": "a deployed federation does not go on from a run yet",
    "expected": "figures of others are printed beside runs of one machine",
    "jobs": "contenders of a deployed federation train one after the other",
}


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """A federation's experiment; arguments as `parse.Config`."""

    name: str
    contenders: tuple[tuple[Contender, ...], ...]
    seeds: tuple[int, ...]
    tune_candidates: int

    def as_dict(self) -> dict[str, Any]:
        """Everything resolved; with a section `data` it is a config."""
        return {
            "name": self.name,
            "methods": {candidates[0].name: candidates[0].as_dict() for candidates in self.contenders},
            "tune_candidates": self.tune_candidates,
            "seeds": list(self.seeds),
        }


def parse_agreed(raw: Mapping[str, Any], default_name: str = "federation") -> Agreed:
    """Check a mapping and resolve every contender.

    Raises:
        UserError: naming the key; one is of a single machine, or a contender needs all rows in one place.
    """
    known(raw, tuple(setting.name for setting in TOP), "")
    for key, why in _HERE.items():
        if raw.get(key) is not None:
            raise UserError(f"{key}: {why}; remove it from what the federation agrees on")
    if not raw.get("methods"):
        raise UserError("the federation has no 'methods'; name the contenders")
    contenders, limit = parse_contenders(raw)
    for contender in (candidates[0] for candidates in contenders):
        if contender.entry.pooled:
            raise UserError(
                f"methods.{contender.name}: {contender.method} trains on all rows in one place, and here there is no"
                " such place; leave it out"
            )
    return Agreed(
        name=parse_name(raw.get("name"), default_name),
        contenders=contenders,
        seeds=parse_seeds(raw.get("seeds", SEEDS)),
        tune_candidates=limit,
    )
