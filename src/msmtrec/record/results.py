"""The result table: AUC per seed, what was compared with what, and what each line rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any

import numpy as np

from msmtrec.base.errors import UserError
from msmtrec.evaluation.compare import Comparison
from msmtrec.evaluation.support import Support
from msmtrec.record.declared import Ablation

MEAN = ("mean", "")
"""The table's last line: the mean over scenario × task."""
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One contender × scenario × task.

    Args:
        auc: test AUC per seed, None where one class only.
        compared: the difference to the reference; None for the reference itself.
    """

    auc: tuple[float | None, ...]
    compared: Comparison | None = None

    @property
    def mean(self) -> float:
        known = [value for value in self.auc if value is not None]
        return float(np.mean(known)) if known else float("nan")

    @property
    def mean_difference(self) -> float:
        """To the reference, over seeds; NaN for the reference itself."""
        return self.compared.difference if self.compared else float("nan")

    @property
    def sd(self) -> float:
        known = [value for value in self.auc if value is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")

    @property
    def sign(self) -> str:
        """'up' or 'down' where the difference to the reference is below the level, uncorrected; else empty."""
        if self.compared is None or not self.compared.p_value < SIGNIFICANT:
            return ""
        return "up" if self.compared.difference > 0 else "down"


@dataclass(frozen=True)
class Pair:
    """Two contenders on the mean over scenario × task.

    Args:
        compared: first - second.
        p_value: Holm-corrected over the family of tests; NaN where the pair is not in it, or was not tested.
        family: whether the pair is one of the tests that were declared beforehand.
    """

    first: str
    second: str
    compared: Comparison
    p_value: float
    _: KW_ONLY
    family: bool

    @property
    def sign(self) -> str:
        """'up' or 'down' where the corrected p is below the level; else empty."""
        if not self.p_value < SIGNIFICANT:
            return ""
        return "up" if self.compared.difference > 0 else "down"


@dataclass(frozen=True, eq=False)
class Results:
    """The whole table.

    Args:
        lines: (scenario, task) in table order, MEAN last.
        cells: contender name -> one cell a line.
        reference: the contender that differences refer to.
        support: what each line rests on, for every line but the mean.
        counted: whether the mean counts the line. The same for all contenders.
        users, rows: different users, and rows, of the lines that the mean counts.
        unit: what the tests count as drawn at random: "users", "'search_id' groups", or "rows".
        baselines: what every contender is tested against -> contender: "reference", "best reference", "best pooled";
            the best are named on validation.
        chosen: contender -> the candidate that validation chose.
        pairs: every two contenders on the mean line.
        notes: what a reader must know of the settings.
        qualities: contender -> figure (`evaluation.quality`) -> for each line a value per seed, None where there is
            none; the last line is the mean over those counted.
        ablation: what was changed in the reference, where these contenders are the tests that were declared.
    """

    name: str
    lines: tuple[tuple[str, str], ...]
    cells: Mapping[str, tuple[Cell, ...]]
    reference: str
    _: KW_ONLY
    support: tuple[Support, ...]
    counted: tuple[bool, ...]
    users: int
    rows: int
    unit: str = "users"
    baselines: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()
    qualities: Mapping[str, Mapping[str, tuple[tuple[float | None, ...], ...]]] = field(default_factory=dict)
    ablation: Ablation | None = None

    def __eq__(self, other: object) -> bool:
        """By value, where figures that do not exist (NaN) are equal."""
        return isinstance(other, Results) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]  # it holds mappings

    @property
    def mean_of(self) -> str:
        """How many lines the last one is the mean of, where it is not all of them; else empty."""
        counted, whole = sum(self.counted), len(self.counted)
        return "" if counted == whole else f"{counted} of {whole} lines"

    @property
    def labels(self) -> list[tuple[str, str]]:
        """`lines` as they are printed: '†' marks one with too little for a test, and the mean says what it counts."""
        marked = [
            (scenario, f"{task} †" if support.few else task)
            for (scenario, task), support in zip(self.lines[:-1], self.support, strict=True)
        ]
        return [*marked, (MEAN[0], self.mean_of)]

    @property
    def tests(self) -> int:
        """How many tests the correction is over."""
        return sum(pair.family and pair.compared.tested for pair in self.pairs)

    def quality(self, contender: str, figure: str, line: int = -1) -> float:
        """The mean over seeds of a figure on a line; NaN where it does not exist for every seed."""
        values = self.qualities[contender][figure][line]
        return float(np.mean([math.nan if value is None else value for value in values]))

    def pair(self, first: str, second: str) -> Pair | None:
        """Difference first - second on the mean line, in the order asked for."""
        for p in self.pairs:
            if (p.first, p.second) == (first, second):
                return p
            if (p.second, p.first) == (first, second):
                return Pair(first, second, p.compared.reversed(), p.p_value, family=p.family)
        return None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which has no NaN: None stands for it."""
        found: dict[str, Any] = _plain(
            {
                "name": self.name,
                "lines": self.lines,
                "reference": self.reference,
                "unit": self.unit,
                "users": self.users,
                "rows": self.rows,
                "baselines": self.baselines,
                "chosen": self.chosen,
                "notes": self.notes,
                "qualities": self.qualities,
                "support": [asdict(support) for support in self.support],
                "counted": self.counted,
                "pairs": [asdict(pair) for pair in self.pairs],
                "cells": {contender: [asdict(cell) for cell in cells] for contender, cells in self.cells.items()},
                **({"ablation": self.ablation.as_dict()} if self.ablation else {}),
            }
        )
        return found

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Results:
        """What `as_dict` gave.

        Raises:
            UserError: it is not that.
        """
        try:
            found = cls(
                raw["name"],
                tuple((scenario, task) for scenario, task in raw["lines"]),
                {contender: tuple(_cell(cell) for cell in cells) for contender, cells in raw["cells"].items()},
                raw["reference"],
                support=tuple(Support(**_counts(support)) for support in raw["support"]),
                counted=tuple(bool(counted) for counted in raw["counted"]),
                **_counts({"users": raw["users"], "rows": raw["rows"]}),
                unit=raw["unit"],
                baselines=dict(raw["baselines"]),
                chosen=dict(raw["chosen"]),
                pairs=tuple(_pair(pair) for pair in raw["pairs"]),
                notes=tuple(raw["notes"]),
                qualities={contender: _qualities(figures) for contender, figures in raw.get("qualities", {}).items()},
                ablation=_ablation(raw.get("ablation")),
            )
            lines = len(found.lines)
            if not found.cells or any(len(cells) != lines for cells in found.cells.values()):
                raise ValueError("cells and lines do not fit")
            if not len(found.support) == len(found.counted) == lines - 1:
                raise ValueError("support and lines do not fit")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"results.json is from another version or damaged ({type(error).__name__}: {error}); train again with"
                " this version, or read it with the one that environment.json names"
            ) from error
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _cell(raw: Mapping[str, Any]) -> Cell:
    auc = tuple(None if value is None else float(value) for value in raw["auc"])
    return Cell(auc, _comparison(raw["compared"]) if raw["compared"] else None)


def _qualities(raw: Mapping[str, Any]) -> dict[str, tuple[tuple[float | None, ...], ...]]:
    return {
        name: tuple(tuple(None if v is None else _number(name, v) for v in line) for line in lines)
        for name, lines in raw.items()
    }


def _pair(raw: Mapping[str, Any]) -> Pair:
    changed = {"compared": _comparison(raw["compared"]), "p_value": _number("p_value", raw["p_value"])}
    return Pair(**{**raw, **changed})


def _comparison(raw: Mapping[str, Any]) -> Comparison:
    if not isinstance(raw["untested"], str):
        raise TypeError(f"untested is {raw['untested']!r}")
    numbers = {name: _number(name, value) for name, value in raw.items() if name != "untested"}
    return Comparison(seeds=int(numbers.pop("seeds")), untested=raw["untested"], **numbers)


def _ablation(raw: Mapping[str, Any] | None) -> Ablation | None:
    if not raw:
        return None
    variants = {part: tuple(own) for part, own in raw["variants"].items()}
    return Ablation(raw["of"], variants, dict(raw.get("left_out", {})))


def _number(name: str, value: Any) -> float:
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}")
    return float("nan") if value is None else float(value)


def _counts(raw: Mapping[str, Any]) -> Mapping[str, int]:
    for name, value in raw.items():
        if not isinstance(value, int):
            raise TypeError(f"{name} is {value!r}")
    return raw
