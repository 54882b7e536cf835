"""The parts of a contender that an ablation removes and adds: each is one setting, and the values that it may have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import KW_ONLY, dataclass, field
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from msmtrec.base.settings import Settings
from msmtrec.base.yaml import set_value
from msmtrec.config.contender import Contender
from msmtrec.statistics.settings import StatisticsSettings


@dataclass(frozen=True)
class Part:
    """One setting.

    Args:
        name: of the part.
        key: dotted, in a contender.
        values: that are tried; empty takes all that the setting knows.
        names: a value, as text -> its variant's name, where the usual one would mislead.
    """

    name: str
    key: str
    values: tuple[Any, ...] = ()
    _: KW_ONLY
    names: Mapping[str, str] = field(default_factory=dict)

    def label(self, value: Any) -> str:
        """The name of the variant with this value, which is a contender's: without spaces."""
        if str(value) in self.names:
            return self.names[str(value)]
        if value is True:
            return f"with-{self.name}"
        if not value or value in ("off", "none"):
            return f"without-{self.name}"
        return f"{self.name}-{value:g}" if isinstance(value, float) else f"{self.name}-{value}"


STATISTICS, FINE_TUNE = "statistics", "fine_tune"
PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part("template", "model.template", (False, True)),
        Part("private_experts", "model.private_experts", (0, 1, 2)),
        Part("residual_embeddings", "model.residual_embeddings", (0.0, 0.3, 1.0)),
        Part("normalization", "options.normalization"),
        Part("alignment", "options.alignment"),
        Part("coordination", "options.coordination", (None, 0.1, 0.2, 0.4, 0.8)),
        Part("rescale", "options.rescale"),
        Part("personalization", "options.personalization"),
        Part("towers", "options.towers", names={"None": "towers-local"}),
        Part("tolerance", "options.tolerance", (0.0, 0.5, 1.0, 2.0)),
        Part("penalty", "options.penalty", (0.0, 1e-3, 1e-2)),
        Part("embeddings", "options.embeddings"),
        Part(STATISTICS, "statistics"),
        Part("wide", "statistics.wide"),
        Part("inputs", "statistics.inputs", (False, True)),
        Part(FINE_TUNE, "fine_tune"),
    )
}
"""In the order of a round, and then what stands beside it. `statistics` and `fine_tune` are more than one value."""


@dataclass(frozen=True)
class Change:
    """What one variant has that its base has not.

    Args:
        part: that is changed.
        name: of the variant.
        key: dotted, in a contender; value: its new one.
    """

    part: str
    name: str
    key: str
    value: Any


def parts_of(contender: Contender) -> tuple[str, ...]:
    """The parts that a contender has, in order."""
    return tuple(name for name, part in PARTS.items() if _has(contender, part))


def _has(contender: Contender, part: Part) -> bool:
    entry = contender.entry
    if part.name == STATISTICS:
        return contender.method != "bias"  # its means are options
    if part.name == FINE_TUNE:
        return not (entry.alone or entry.pooled)
    head, key = part.key.split(".")
    if entry.alone and head == "model":
        return False
    kind = _kind(contender, head)
    return kind is not None and key in kind.model_fields


def _kind(contender: Contender, head: str) -> type[Settings] | None:
    if head == "statistics":
        return StatisticsSettings if contender.statistics else None
    return type(contender.settings if head == "options" else contender.model)


def changes(
    contender: Contender, parts: Collection[str], agreed: tuple[str, ...], read: Collection[str]
) -> Iterator[Change]:
    """Every change of the parts, whether the result is possible or not; fine-tuning is a column and none.

    Args:
        agreed: fields whose statistics scenarios could sum.
        read: those of them whose sums the contender reads.
    """
    for name in (name for name in PARTS if name in parts and name != FINE_TUNE):
        part = PARTS[name]
        if name == STATISTICS:
            yield from _statistics(contender, agreed, read)
            continue
        head, key = part.key.split(".")
        now = contender.resolved[head][key]
        kind = _kind(contender, head)
        assert kind is not None
        for value in part.values or choices(kind.model_fields[key].annotation):
            if value != now:
                yield Change(name, part.label(value), part.key, value)


def _statistics(contender: Contender, agreed: tuple[str, ...], read: Collection[str]) -> Iterator[Change]:
    """None, own counts only, sums of each field alone, sums of all."""
    has = contender.statistics is not None
    if has:
        yield Change(STATISTICS, f"without-{STATISTICS}", "statistics", False)
    wanted: list[tuple[str, Any, set[str]]] = [("own", False, set())]
    if len(agreed) > 1:
        wanted += [(f"{one}-alone", [one], {one}) for one in agreed]
    if agreed:
        wanted.append(("all", True, set(agreed)))
    for label, summed, fields in wanted:
        if has and fields == set(read):
            continue
        name = f"{STATISTICS}-{re.sub(r'[^A-Za-z0-9_.-]', '-', label)}"
        if has:
            yield Change(STATISTICS, name, "statistics.summed", summed)
        else:
            yield Change(STATISTICS, name, "statistics", {"summed": summed})


def choices(annotation: Any) -> Iterator[Any]:
    """The values of a choice: those of a Literal, and None where it may be that."""
    if annotation is NoneType:
        yield None
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for inner in get_args(annotation):
            yield from choices(inner)


def changed(contender: Contender, change: Change) -> dict[str, Any]:
    """The variant's settings, in the form of a config."""
    found = deepcopy(contender.resolved)
    set_value(found, change.key, deepcopy(change.value), change.name)
    return found
