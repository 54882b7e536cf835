"""Figures of others that a run is to be held against, such as those a paper or its code publishes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import Field

from msmtrec.base.schema import Schema
from msmtrec.base.sentences import build, group, known
from msmtrec.base.settings import Settings

Tasks = Annotated[dict[str, Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]
Scenarios = Annotated[dict[str, Tasks], Field(min_length=1)]


class Expected(Settings):
    """What others measured; printed beside what this run measures, and nothing else.

    Args:
        source: where the figures are from, and how they came about, in a few words.
        tolerance: AUC within which a figure counts as met.
        figures: contender -> scenario -> task -> test AUC.
    """

    source: str = Field(min_length=1)
    tolerance: float = Field(0.01, gt=0, le=0.5)
    figures: dict[str, Scenarios] = Field(min_length=1)

    def check(self, schema: Schema) -> None:
        """Refuse lines that the logs do not have.

        Raises:
            UserError: naming the nearest.
        """
        for contender, scenarios in self.figures.items():
            place = f"expected.figures.{contender}"
            known(scenarios, tuple(schema.scenarios), place)
            for scenario, tasks in scenarios.items():
                known(tasks, schema.scenarios[scenario], f"{place}.{scenario}")


def parse_expected(raw: Any, contenders: Collection[str]) -> Expected | None:
    """An `expected` section; None where there is none.

    Raises:
        UserError: naming the key.
    """
    if raw is None:
        return None
    found: Expected = build(Expected, group(raw, "expected"), "expected")
    known(found.figures, tuple(contenders), "expected.figures")
    return found
