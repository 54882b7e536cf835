"""A sentence on the data, and how many of one kind become one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Literal


class Weight(IntEnum):
    """How much a finding matters; the heaviest are told first."""

    NOTE = 1
    """It may well be as it should be, or is only to be known; a run's report has it, and says no caution."""
    WARNING = 2
    """It costs something: an input, a cell of the result table."""
    SPOILS = 3
    """Figures would not mean what they say."""


@dataclass(frozen=True)
class Finding:
    """One thing in one place.

    Args:
        kind: findings of one kind are told in one sentence.
        column: the column, or the task.
        scenario: "" where it is about all of them.
        text: the sentence: column, scenario, numbers, remedy.
        size: how bad, among those of its kind.
        what: what `column` names.
    """

    kind: str
    column: str
    scenario: str
    text: str
    _: KW_ONLY
    size: float
    weight: Weight = Weight.WARNING
    what: Literal["column", "task"] = "column"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Finding:
        """What `as_dict` gave, also after JSON."""
        return cls(**{**raw, "weight": Weight(raw["weight"])})


def folded(findings: Iterable[Finding]) -> list[Finding]:
    """One finding of every kind, the worst, which says where else there are some; the heaviest first."""
    groups: dict[str, list[Finding]] = {}
    for found in findings:
        groups.setdefault(found.kind, []).append(found)
    return sorted((_worst(group) for group in groups.values()), key=lambda found: -found.weight)


def _worst(group: list[Finding]) -> Finding:
    worst = max(group, key=lambda found: found.size)
    scenarios = {f.scenario: None for f in group if f.column == worst.column and f.scenario != worst.scenario}
    columns = {f.column: None for f in group if f.column != worst.column}
    others = [_named(list(scenarios), "scenario"), _named(list(columns), worst.what)]
    said = " and ".join(part for part in others if part)
    return replace(worst, text=f"{worst.text} (also in {said})") if said else worst


_LISTED = 3


def _named(names: list[str], what: str) -> str:
    """A few by name, many by number."""
    if len(names) > _LISTED:
        return f"{len(names)} other {what}s"
    return f"{what}{'s' * (len(names) > 1)} {listed(names)}" if names else ""


def listed(names: Iterable[str]) -> str:
    """'a', 'b' and 'c'."""
    *first, last = [f"'{name}'" for name in names]
    return f"{', '.join(first)} and {last}" if first else last


def percent(share: float) -> str:
    """Of a hundred: two digits that count."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def counted(number: int, what: str) -> str:
    """1 row, 1,234 rows."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
