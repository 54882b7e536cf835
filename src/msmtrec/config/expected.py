"""Figures of others that a run is to be held against, such as those a paper or its code publishes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.schema import Schema
from msmtrec.base.sentences import build, group
from msmtrec.base.settings import Settings


class Expected(Settings):
    """What others measured; printed beside what this run measures, and nothing else.

    Args:
        source: where the figures are from, and how they came about, in a few words.
        tolerance: AUC within which a figure counts as met.
        figures: contender -> scenario -> task -> test AUC.
    """

    source: str = Field(min_length=1)
    tolerance: float = Field(0.01, gt=0, le=0.5)
    figures: dict[str, dict[str, dict[str, float]]] = Field(min_length=1)

    def check(self, schema: Schema) -> None:
        """Refuse lines that the logs do not have.

        Raises:
            UserError: naming the nearest.
        """
        for contender, scenarios in self.figures.items():
            place = f"expected.figures.{contender}"
            for scenario, tasks in scenarios.items():
                _one_of(scenario, schema.scenarios, place, "scenario")
                for task in tasks:
                    _one_of(task, schema.scenarios[scenario], f"{place}.{scenario}", "task")


def parse_expected(raw: Any, contenders: Collection[str]) -> Expected | None:
    """An `expected` section; None where there is none.

    Raises:
        UserError: naming the key.
    """
    if raw is None:
        return None
    given: Mapping[str, Any] = group(raw, "expected")
    found: Expected = build(Expected, given, "expected")
    for name, scenarios in found.figures.items():
        _one_of(name, contenders, "expected.figures", "contender")
        if not scenarios or not all(scenarios.values()):
            raise UserError(f"expected.figures.{name} lacks figures; give scenario -> task -> AUC, or remove it")
        for scenario, tasks in scenarios.items():
            for task, auc in tasks.items():
                if not 0 <= auc <= 1:
                    raise UserError(f"expected.figures.{name}.{scenario}.{task} is {auc:g}; an AUC is from 0 to 1")
    return found


def _one_of(name: str, valid: Collection[str], place: str, what: str) -> None:
    if name not in valid:
        raise UserError(f"{place}: there is no {what} '{name}'; {nearest(name, valid)}")
