"""Synthetic logs whose truth is known: what differs between scenarios, and how much, is set by knobs."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from msmtrec.base.sentences import build
from msmtrec.base.settings import count
from msmtrec.logs.sources.settings.base import SourceSettings
from msmtrec.logs.synthetic.knobs import Knobs
from msmtrec.logs.synthetic.power_law import PowerLaw

if TYPE_CHECKING:
    from msmtrec.base.schema import Schema
    from msmtrec.data.logs import Logs
    from msmtrec.logs.sources.synthetic import Made
    from msmtrec.logs.synthetic.bayes import Truth
    from msmtrec.logs.synthetic.rows import Rows


class Synthetic(Knobs, SourceSettings):
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
        return self._made().schema()

    def load(self) -> Logs:
        """All rows, drawn afresh chunk by chunk in every pass."""
        return self._made().logs()

    def truth(self) -> Truth:
        """How well the best possible model does on the test rows, which are drawn once more (and no others)."""
        return self._made().truth()

    def drawn(self) -> Rows:
        """The rows, and the true probabilities of any row (`.truth`)."""
        return self._made().rows()

    def _made(self) -> Made:
        from msmtrec.logs.sources.synthetic import Made

        return Made(self)
