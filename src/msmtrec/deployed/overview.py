"""What scenarios tell of their rows, side by side: names, kinds and id spaces, and who has what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Task
from msmtrec.deployed.told import DIGEST, SPLITS, Told

_SHOWN = 8
"""Signs of a digest in a table."""
ByScenario = Mapping[str, Told]
"""Scenario -> what its node tells, in table order."""


def fields(told: ByScenario) -> Iterator[tuple[str, str, str, str]]:
    """(name, kind, id space, who has it so), a line for each way in which a field is declared."""
    found: dict[str, dict[Feature, list[str]]] = {}
    for scenario, one in told.items():
        for feature in one.declared.features:
            found.setdefault(feature.name, {}).setdefault(feature, []).append(scenario)
    for name, ways in found.items():
        for feature, scenarios in ways.items():
            yield name, _kind(feature), _space(feature), _who(scenarios, told)


def tasks(told: ByScenario) -> Iterator[tuple[str, str, str]]:
    """(name, the task that it lies within, who has it so), as `fields`."""
    found: dict[str, dict[Task, list[str]]] = {}
    for scenario, one in told.items():
        for task in one.declared.tasks:
            having = found.setdefault(task.name, {}).setdefault(task, [])
            if task.name in one.declared.scenarios[scenario]:
                having.append(scenario)
    for name, ways in found.items():
        for task, scenarios in ways.items():
            yield name, task.within or "–", _who(scenarios, told)


def columns(told: ByScenario) -> Iterator[tuple[str, str, str, str, str]]:
    """(scenario, column of the group, column of the weight, whether its rows have times, rows of each split)"""
    for scenario, one in told.items():
        rows = " + ".join(f"{one.rows[scenario][split]:,}" for split in SPLITS) if one.rows else "not counted"
        yield scenario, one.declared.group or "–", one.declared.weight or "–", "yes" if one.timed else "no", rows


def _kind(feature: Feature) -> str:
    of = f" of {feature.size} numbers" if feature.kind == "vector" else ""
    how = ", a cross" if feature.cross else ", an expression" if feature.expression else ""
    return f"{feature.kind}{of}{how}"


def _space(feature: Feature) -> str:
    space = feature.shared
    if not feature.has_ids:
        return "–"
    if feature.of is not None:
        return f"that of {feature.of}"
    if space is None:
        return "own" if feature.hash is None else f"own, {feature.hash:,} hash buckets"
    match space.kind:
        case "ids":
            return f"shared, ids below {space.size:,}"
        case "hash":
            return f"shared, {space.size:,} hash buckets"
        case _:
            digest = space.values[0].removeprefix(DIGEST)[:_SHOWN]
            return f"shared, a list of {space.size:,} (digest {digest})"


def _who(scenarios: Sequence[str], told: ByScenario) -> str:
    if len(scenarios) == len(told) > 1:
        return f"all {len(told)}"
    return ", ".join(scenarios) or "nobody"
