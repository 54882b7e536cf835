"""Whether what scenarios declare of their rows fits together; names and kinds are compared, never values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task

Part = Feature | Task


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
    _same_parts(both, "feature", (first, one.features), (other, two.features))
    _same_parts(both, "task", (first, one.tasks), (other, two.tasks))
    for key in ("group", "weight"):
        if getattr(one, key) != getattr(two, key):
            raise UserError(f"{both} have different columns for {key}: {getattr(one, key)}, {getattr(two, key)}")


def _same_parts(both: str, what: str, one: tuple[str, Sequence[Part]], two: tuple[str, Sequence[Part]]) -> None:
    old, new = ({part.name: part for part in parts} for _, parts in (one, two))
    for who, mine, theirs in ((one[0], old, new), (two[0], new, old)):
        if lacking := [name for name in mine if name not in theirs]:
            raise UserError(f"{both}: only '{who}' has the {what} '{lacking[0]}'; declare the same ones")
    if [*old] != [*new]:
        raise UserError(f"{both} list their {what}s in different orders; list them alike")
    for name, part in old.items():
        if part != new[name]:
            where = _where(part, new[name])
            raise UserError(f"{both} declare the {what} '{name}' differently, in {where}; declare it alike")


def _where(one: Part, two: Part) -> str:
    a, b = asdict(one), asdict(two)
    return ", ".join(key for key in a if a[key] != b[key])
