"""Whether what scenarios declare of their rows fits together; names and kinds are compared, never values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Difference, Schema, difference
from msmtrec.deployed.told import Told


def fitting(told: Mapping[str, Told]) -> Schema:
    """What scenarios tell, as one schema. told: scenario -> what its node tells, in table order.

    Raises:
        UserError: as `common_schema`; or only one of two has rows with times.
    """
    first, one = next(iter(told.items()))
    for other, two in told.items():
        if one.timed != two.timed:
            having = first if one.timed else other
            raise UserError(
                f"scenarios '{first}' and '{other}': only '{having}' has rows with times; declare split.time for both"
                " or for none"
            )
    return common_schema({name: found.declared for name, found in told.items()})


def common_schema(found: Mapping[str, Schema]) -> Schema:
    """One for all scenarios. found: scenario -> its own, in table order.

    Raises:
        UserError: two of them differ in a feature, a task, or what they are of; both are named.
    """
    first, one = next(iter(found.items()))
    for other, two in found.items():
        _same(first, one, other, two)
    tasks = {name: schema.scenarios[name] for name, schema in found.items()}
    return replace(one, scenarios=tasks)


def _same(first: str, one: Schema, other: str, two: Schema) -> None:
    both = f"scenarios '{first}' and '{other}'"
    for what, found in (
        ("feature", difference(one.features, two.features)),
        ("task", difference(one.tasks, two.tasks)),
    ):
        match found:
            case Difference("lacking", name, a):
                having = other if a is None else first
                raise UserError(f"{both}: only '{having}' has the {what} '{name}'; declare the same ones")
            case Difference("otherwise", name, a, b) if a is not None and b is not None:
                mine, theirs = asdict(a), asdict(b)
                where = ", ".join(key for key in mine if mine[key] != theirs[key])
                raise UserError(f"{both} declare the {what} '{name}' differently, in {where}; declare it alike")
            case Difference("order"):
                raise UserError(f"{both} list their {what}s in different orders; list them alike")
    for key in ("group", "weight"):
        if getattr(one, key) != getattr(two, key):
            raise UserError(f"{both} have different columns for {key}: {getattr(one, key)}, {getattr(two, key)}")
