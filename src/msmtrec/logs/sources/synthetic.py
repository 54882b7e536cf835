"""Synthetic logs whose truth is known: what differs between scenarios, and how much, is set by knobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256

from msmtrec.base.schema import Schema
from msmtrec.data.logs import Logs
from msmtrec.logs.sources.settings.synthetic import Synthetic
from msmtrec.logs.synthetic.bayes import Truth, bayes
from msmtrec.logs.synthetic.rows import Rows
from msmtrec.logs.synthetic.shapes import Search, Shape, Small

__all__ = ["Made", "Synthetic"]

VERSION = 3
"""Of the rows that the same settings give; in the fingerprint."""
_SHOWN = 16
"""Scenarios whose first test rows are looked at for the note on what is possible."""


class Made:
    """The logs that settings ask for."""

    def __init__(self, source: Synthetic) -> None:
        self.source = source

    def schema(self) -> Schema:
        """What the rows mean."""
        shape = self._shape()
        return Schema(
            name="synthetic",
            features=shape.features(),
            tasks=shape.tasks,
            scenarios=dict.fromkeys(self.source.scenario_names(), tuple(task.name for task in shape.tasks)),
            group=shape.group,
        )

    def logs(self) -> Logs:
        """All rows, drawn afresh chunk by chunk in every pass."""
        rows = self.rows()
        text = json.dumps([VERSION, self.source.model_dump(mode="json")], sort_keys=True)
        return Logs(
            self.schema(),
            rows.stream,
            fingerprint=sha256(text.encode()).hexdigest(),
            origin="synthetic logs",
            notes=tuple(self._notes(rows)),
            allow_one_class=self.source.allow_one_class,
        )

    def truth(self) -> Truth:
        """How well the best possible model does on the test rows, which are drawn once more (and no others)."""
        return bayes(self.rows().scored())

    def rows(self) -> Rows:
        """The rows, and the true probabilities of any row (`.truth`)."""
        source = self.source
        return Rows(source, self._shape(), dict(zip(source.scenario_names(), source.sizes(), strict=True)))

    def _shape(self) -> Shape:
        source = self.source
        return (
            Small(source.users, source.items, source.overlap, source.scenarios) if source.shape == "small" else Search()
        )

    def _notes(self, rows: Rows) -> Iterator[str]:
        source = self.source
        turned = [any(source.turned(scenario)) for scenario in range(source.scenarios)]
        if any(turned) and source.concept_shift < 1:
            yield f"{sum(turned)} of {source.scenarios} scenarios want the opposite of what the others have in common"
        truth = bayes(rows.scored(at_most=1, scenarios=_SHOWN))
        tasks = ", ".join(f"{task.name} {truth.mean(task.name):.3f}" for task in rows.shape.tasks)
        of = f" of the first {_SHOWN} scenarios" if source.scenarios > _SHOWN else ""
        yield f"no model can expect a test AUC above that of the true probabilities (Bayes): {tasks} (mean{of})"
