"""Synthetic logs whose truth is known: what differs between scenarios, and how much, is set by knobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from math import floor
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from msmtrec.base.schema import Schema
from msmtrec.base.sentences import build
from msmtrec.base.settings import count
from msmtrec.data.logs import Logs
from msmtrec.logs.synthetic.bayes import Truth, bayes
from msmtrec.logs.synthetic.rows import PowerLaw, Rows
from msmtrec.logs.synthetic.shapes import Search, Shape, Small
from msmtrec.logs.synthetic.truth import Knobs

VERSION = 3
"""Of the rows that the same settings give; in the fingerprint."""
_SHOWN = 16
"""Scenarios whose first test rows are looked at for the note on what is possible."""


class Synthetic(Knobs):
    """N scenarios with a click and a conversion within it; what differs between them is set by the knobs.

    Args:
        scenarios: how many.
        rows: rows per scenario: one number, one per scenario, or a power law.
        shape: `small` has a user, an item, its segment and a price; `aliexpress` has search pages with 16 categorical
            and 63 mostly zero numeric features, and splits like the release's.
        users, items: small: how many each scenario has.
        overlap: small: share of the users and items that all scenarios have in common. Neutral 1.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["synthetic"] = "synthetic"
    scenarios: int = Field(4, ge=1, le=1000)
    rows: int | tuple[int, ...] | PowerLaw = 4000
    shape: Literal["small", "aliexpress"] = "small"
    users: int = Field(500, ge=1)
    items: int = Field(300, ge=1)
    overlap: float = Field(1.0, ge=0, le=1)
    allow_one_class: bool = False

    @field_validator("rows", mode="before")
    @classmethod
    def _sizes(cls, raw: Any) -> int | tuple[int, ...] | PowerLaw:
        if isinstance(raw, PowerLaw):
            return raw
        if isinstance(raw, Mapping):
            return build(PowerLaw, raw, "data.rows")
        if isinstance(raw, list | tuple):
            return tuple(count(size, f" (scenario-{number})") for number, size in enumerate(raw))
        if isinstance(raw, int | float):
            return count(raw)
        raise ValueError(f"must be one number, a list with one number per scenario, or a power law, not {raw!r}")

    @model_validator(mode="after")
    def _consistent(self) -> Synthetic:
        if self.conversion_rate >= self.click_rate:
            raise ValueError("conversion_rate must be below click_rate: a conversion needs a click")
        for name, value in (("rows", self.rows), ("label_shift", self.label_shift)):
            if isinstance(value, tuple) and len(value) != self.scenarios:
                raise ValueError(f"{name} lists {len(value)} numbers for {self.scenarios} scenarios")
        for share in self.conflict if isinstance(self.conflict, tuple) else (self.conflict,):
            if share and not floor(share * self.scenarios + 1e-9):
                raise ValueError(
                    f"conflict {share} turns none of {self.scenarios} scenarios; give 0, or at least"
                    f" {1 / self.scenarios:.3g}"
                )
        if self.shape == "aliexpress":
            for name in ("users", "items", "overlap"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} has no meaning in shape aliexpress, which has no such ids; remove it")
        self.sizes()
        return self

    def present(self) -> bool:
        """Always: it is made on the spot."""
        return True

    def scenario_names(self) -> tuple[str, ...]:
        """In table order."""
        return tuple(f"scenario-{n}" for n in range(self.scenarios))

    def sizes(self) -> tuple[int, ...]:
        """Rows of each scenario."""
        if isinstance(self.rows, PowerLaw):
            return self.rows.sizes(self.scenarios)
        return self.rows if isinstance(self.rows, tuple) else (self.rows,) * self.scenarios

    def log_schema(self) -> Schema:
        """What the rows mean."""
        shape = self._shape()
        return Schema(
            name="synthetic",
            features=shape.features(),
            tasks=shape.tasks,
            scenarios=dict.fromkeys(self.scenario_names(), tuple(task.name for task in shape.tasks)),
            group=shape.group,
        )

    def load(self) -> Logs:
        """All rows, drawn afresh chunk by chunk in every pass."""
        rows = self.drawn()
        text = json.dumps([VERSION, self.model_dump(mode="json")], sort_keys=True)
        return Logs(
            self.log_schema(),
            rows.stream,
            fingerprint=sha256(text.encode()).hexdigest(),
            origin="synthetic logs",
            notes=tuple(self._notes(rows)),
            allow_one_class=self.allow_one_class,
        )

    def truth(self) -> Truth:
        """How well the best possible model does on the test rows, which are drawn once more (and no others)."""
        return bayes(self.drawn().scored())

    def drawn(self) -> Rows:
        """The rows, and the true probabilities of any row (`.truth`)."""
        return Rows(self, self._shape(), dict(zip(self.scenario_names(), self.sizes(), strict=True)))

    def _shape(self) -> Shape:
        return Small(self.users, self.items, self.overlap, self.scenarios) if self.shape == "small" else Search()

    def _notes(self, rows: Rows) -> Iterator[str]:
        turned = [any(self.turned(scenario)) for scenario in range(self.scenarios)]
        if any(turned) and self.concept_shift < 1:
            yield f"{sum(turned)} of {self.scenarios} scenarios want the opposite of what the others have in common"
        truth = bayes(rows.scored(at_most=1, scenarios=_SHOWN))
        tasks = ", ".join(f"{task.name} {truth.mean(task.name):.3f}" for task in rows.shape.tasks)
        of = f" of the first {_SHOWN} scenarios" if self.scenarios > _SHOWN else ""
        yield f"no model can expect a test AUC above that of the true probabilities (Bayes): {tasks} (mean{of})"
