"""A table of roles, for a network of others: patterns of its names become the declarations that methods read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import torch
from torch import Tensor

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import FITTED, Role
from msmtrec.base.sentences import one_of
from msmtrec.deployed.strategy.stacked import Form, Stacked, join

AVERAGE, LOCAL = "average", "local"
ROLES: dict[str, Role] = {
    **{role.value: role for role in Role if role not in (*FITTED, Role.TREES, Role.RESIDUAL_EMBEDDING)},
    AVERAGE: Role.SHARED_EMBEDDING,
    LOCAL: Role.EXPERT_PRIVATE,
}
"""Words of a table. `average` promises that it is averaged, `local` that it never leaves, whatever the method."""
_STAYS = (Role.EMBEDDING, Role.EXPERT_PRIVATE)
_NUMBERS = (torch.float16, torch.float32, torch.float64)
_COUNTS: dict[Role, Literal["expert", "task"]] = {Role.EXPERT_SCENARIO: "expert", Role.TOWER: "task"}
"""Roles whose parameters belong to an expert or a task."""


@dataclass(frozen=True)
class RoleTable:
    """Args:
    declarations: of every parameter, in the order of the table and then of the state_dict.
    stacked: how each lies in the state_dict, in the same order.
    words: the state_dict's name -> the word of the table.
    first: name -> first value, as declared.
    """

    declarations: tuple[Declaration, ...]
    stacked: tuple[Stacked, ...]
    words: Mapping[str, str]
    first: Parameters

    def of(self, names: Collection[str]) -> tuple[Stacked, ...]:
        """Those of the declared names."""
        return tuple(one for one in self.stacked if one.name in names)


def role_table(state: Mapping[str, Tensor], roles: Mapping[str, str], tasks: tuple[str, ...]) -> RoleTable:
    """Read a table of roles for the parameters and buffers of a network.

    A pattern is a name in which `*` stands for anything. `{expert}`, a number, and `{task}`, one of the tasks, say to
    which the parameter belongs; `[expert]` or `[task]` at the end, that its first axis counts them. What one pattern
    names are parts of the same experts; experts of two patterns have nothing to do with each other.

    Args:
        state: the network's `state_dict()`.
        roles: pattern -> role.

    Raises:
        UserError: a name has no role or two, a pattern names nothing, or it cannot be what its role says.
    """
    if not state:
        raise UserError("roles: the state_dict is empty; give that of the network")
    rules = [_Rule.read(pattern, word, tasks, level) for level, (pattern, word) in enumerate(roles.items())]
    found: dict[str, _Rule] = {}
    for name in state:
        those = [rule for rule in rules if rule.match(name)]
        if not those:
            raise UserError(
                f"roles: '{name}' has no role; add a pattern for it (`{LOCAL}` never leaves, norm.statistics is for"
                f" running means and variances); patterns: {', '.join(roles) or 'none'}"
            )
        if len(those) > 1:
            both = " and ".join(f"'{rule.pattern}'" for rule in those[:2])
            raise UserError(f"roles: '{name}' is named by {both}; make the patterns apart")
        found[name] = those[0]
    declared: list[tuple[Declaration, Stacked]] = []
    for rule in rules:
        own = {name: state[name] for name, its in found.items() if its is rule}
        if not own:
            near = nearest(re.sub(r"[*\[\]{}]", "", rule.pattern), state)
            raise UserError(f"roles: no parameter is called '{rule.pattern}'; {near}")
        declared += rule.declare(own, tasks)
    stacked = tuple(one for _, one in declared)
    return RoleTable(
        tuple(declaration for declaration, _ in declared),
        stacked,
        {name: rule.word for name, rule in found.items()},
        join(stacked, {name: value.detach().cpu().clone() for name, value in state.items()}),
    )


@dataclass(frozen=True)
class _Rule:
    """One line of the table.

    Args:
        counts: what its names, or the first axis (`axis`), count; None nothing.
        level: where it stands: its experts are others than those of other lines.
    """

    pattern: str
    word: str
    _: KW_ONLY
    regex: re.Pattern[str]
    counts: Literal["expert", "task"] | None
    axis: bool
    level: int

    @property
    def role(self) -> Role:
        return ROLES[self.word]

    @classmethod
    def read(cls, pattern: str, word: str, tasks: tuple[str, ...], level: int) -> _Rule:
        place = f"roles['{pattern}']"
        role = ROLES[one_of(word, tuple(ROLES), place)]
        marks = re.findall(r"\{(\w*)\}|\[(\w*)\]$", pattern)
        kinds = [inner or last for inner, last in marks]
        for kind in kinds:
            one_of(kind, ("expert", "task"), f"{place}: what stands in brackets")
        if len(kinds) > 1:
            raise UserError(f"{place} counts twice; keep one of its brackets")
        counts: Literal["expert", "task"] | None = ("task" if kinds[0] == "task" else "expert") if kinds else None
        must = _COUNTS.get(role)
        if must and counts not in (None, must):
            raise UserError(f"{place}: parameters of the role {role.value} belong to one {must} each, not {counts}")
        if role is Role.TOWER and counts is None and len(tasks) > 1:
            raise UserError(
                f"{place}: say which tower is which task's: {{task}} where its name has the task's, [task] behind a"
                " pattern whose parameters have an axis of tasks first"
            )
        if role is Role.SHARED_EMBEDDING and counts:
            raise UserError(f"{place}: what is averaged whole counts no {counts}; leave the brackets out")
        plain = pattern.removesuffix(f"[{counts}]")
        inner = {"{task}": f"(?P<unit>{'|'.join(map(re.escape, tasks))})", "{expert}": r"(?P<unit>\d+)", "*": ".*"}
        parts = re.split(r"(\{task\}|\{expert\}|\*)", plain)
        regex = "".join(inner.get(part, re.escape(part)) for part in parts)
        return cls(pattern, word, regex=re.compile(regex), counts=counts, axis=plain != pattern, level=level)

    def match(self, name: str) -> re.Match[str] | None:
        return self.regex.fullmatch(name)

    def declare(self, own: Mapping[str, Tensor], tasks: tuple[str, ...]) -> list[tuple[Declaration, Stacked]]:
        """Its parameters; those that differ in the unit alone are one."""
        groups: dict[str, dict[str, str]] = {}
        for name in own:
            match = self.match(name)
            assert match is not None
            if "unit" in match.groupdict():
                start, end = match.span("unit")
                groups.setdefault(f"{name[:start]}{{{self.counts}}}{name[end:]}", {})[match["unit"]] = name
            else:
                groups.setdefault(name, {})[""] = name
        units = self._units(groups, tasks)
        found = [self._one(name, [its[unit] for unit in units], own) for name, its in groups.items()]
        sizes = {one.name: one.shape[0] if one.shape else 0 for _, one in found} if self.axis else {}
        wanted = len(tasks) if self.counts == "task" else next(iter(sizes.values()), 0)
        for name, size in sizes.items():
            if size != wanted or not size:
                raise UserError(f"roles['{self.pattern}']: '{name}' has a first axis of {size}, not of {wanted}")
        return found

    def _units(self, groups: Mapping[str, Mapping[str, str]], tasks: tuple[str, ...]) -> Iterable[str]:
        """The tasks in their order, or experts by number; all of them in each group."""
        there = {unit: name for its in groups.values() for unit, name in its.items()}
        units = list(tasks) if self.counts == "task" and not self.axis else sorted(there, key=lambda u: int(u or 0))
        for group, its in groups.items():
            for unit in units:
                if unit not in its:
                    raise UserError(f"roles['{self.pattern}']: {self.counts} '{unit}' has no '{group}'")
        return units

    def _one(self, name: str, names: list[str], own: Mapping[str, Tensor]) -> tuple[Declaration, Stacked]:
        first = own[names[0]]
        for other in names[1:]:
            if own[other].shape != first.shape or own[other].dtype != first.dtype:
                raise UserError(
                    f"roles['{self.pattern}']: '{other}' is {_kind(own[other])}, '{names[0]}' {_kind(first)}; they must"
                    " be alike"
                )
        if first.dtype not in _NUMBERS and self.role not in (*_STAYS, Role.NORM_STATISTICS):
            raise UserError(f"roles['{self.pattern}']: '{name}' is {_kind(first)}; such may be `{LOCAL}`")
        form: Form = "whole"
        if self.role is Role.SHARED_EMBEDDING:
            form = "table"
        elif not self.axis and (self.counts or self.role in _COUNTS):
            form = "layers" if self.role is Role.EXPERT_SCENARIO and first.dim() > 1 else "stack"
        stacked = Stacked(name, tuple(names), form, shape=tuple(first.shape))
        shape = tuple(stacked.join(own).shape)
        axis = self.counts or _COUNTS.get(self.role)
        level = self.level if axis == "expert" else 0
        return Declaration(name, self.role, shape, "zeros", unit_axis=axis, level=level), stacked


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
