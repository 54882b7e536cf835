"""What is known of a deployment before anything trains: who is there, with which rows, versions and clocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from msmtrec.base.schema import Schema
from msmtrec.data.logs import SPLITS
from msmtrec.deployed.fit import fitting
from msmtrec.deployed.messages import Facts
from msmtrec.deployed.told import Told

SKEW = 5.0
"""Seconds by which a node's clock may be wrong before it is said: keys and certificates are looked at by the clock."""


@dataclass(frozen=True)
class Asked:
    """What nodes said to the first question.

    Args:
        facts: node -> its answer.
        told: scenario -> what its node tells of the rows, in table order.
        began, ended: of the question, by the server's clock, seconds since 1970.
    """

    facts: Mapping[str, Facts]
    told: Mapping[str, Told]
    began: float
    ended: float

    @cached_property
    def schema(self) -> Schema:
        """What they have in common; errors as `fitting`."""
        return fitting(self.told)

    def skew(self, node: str) -> float:
        """Seconds by which a clock is certainly wrong: it was read between both moments. Below 0 it is behind."""
        clock = self.facts[node].clock
        return min(clock - self.began, 0.0) + max(clock - self.ended, 0.0)


def doubts(asked: Asked, own: Mapping[str, str]) -> Iterator[str]:
    """What works and may still be not what is meant. own: package -> version, of the server."""
    for node, facts in asked.facts.items():
        skew = asked.skew(node)
        if abs(skew) > SKEW:
            which = "behind" if skew < 0 else "ahead"
            yield f"the clock of node '{node}' is {abs(skew):,.0f} seconds {which}; set it, or its key may be refused"
        for package, version in own.items():
            theirs = facts.packages.get(package) or "of no version"
            if theirs != version:
                yield (
                    f"node '{node}' has {package} {theirs}, the server {version}; figures may differ in the last digits"
                    " from those of one machine"
                )


def lines(asked: Asked) -> Iterator[str]:
    """One for each scenario, and what they have in common."""
    schema = asked.schema
    for node, facts in asked.facts.items():
        for scenario, rows in facts.rows.items():
            counts = ", ".join(f"{rows[split]:,} {split}" for split in SPLITS)
            tasks = ", ".join(schema.scenarios[scenario])
            yield f"node '{node}', scenario '{scenario}': {counts} rows; tasks {tasks}"
    shared = [feature.name for feature in schema.features if feature.shared]
    names = ", ".join(feature.name for feature in schema.features)
    yield f"features: {names}; with agreed ids: {', '.join(shared) or 'none'}"
