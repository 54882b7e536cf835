"""What one way to encode the logs finds: between the two passes, and while rows are encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from msmtrec.base.schema import Schema
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.survey import Survey
from msmtrec.data.findings import forms, labels, times, units, words
from msmtrec.data.findings.constants import Constants
from msmtrec.data.findings.copies import Copies
from msmtrec.data.findings.finding import Finding
from msmtrec.data.findings.groups import Groups
from msmtrec.data.findings.sentinels import candidates
from msmtrec.data.findings.watched import Watched
from msmtrec.data.table import Rows


class Collected:
    """The findings on one scenario's rows, as they are encoded."""

    def __init__(self, encoder: Encoder, survey: Survey) -> None:
        self.encoder = encoder
        schema, scenarios = encoder.schema, len(encoder.layout.scenarios)
        self.constants, self.copies = Constants(), Copies(grouped=schema.group is not None, scenarios=scenarios)
        self.groups, self.equal = Groups(schema.group), labels.EqualLabels(schema, encoder.table)
        self.sentinels = candidates(encoder, {name: column.ends for name, column in survey.numeric.items()})
        self.worded = [name for name, values in encoder.vocabularies.items() if words.there(values)]
        self.formed = [
            name
            for name, values in encoder.vocabularies.items()
            if any(len(forms.twins(form, values)) for form in forms.FORMS)
        ]
        self.watched = Watched(encoder, [*self.worded, *self.formed])
        self._known = [*times.spans(survey.times), *labels.few(encoder.table, survey.labels)]

    def add(self, rows: Rows, split: str, raw: pl.DataFrame) -> None:
        """The next rows of one split, encoded and as they are in the log."""
        self.groups.add(rows, raw)
        self.equal.add(rows.labels)
        if split in self.copies.rows:
            self.copies.add(rows, split)
        if split == "train":
            self.constants.add(rows)
            self.watched.add(rows)
            for sentinel in self.sentinels:
                sentinel.add(rows)

    def found(self) -> Iterator[Finding]:
        """After the last rows."""
        scenario = self.encoder.table
        yield from self._known
        yield from self.copies.found(scenario)
        yield from self.groups.found(scenario)
        yield from self.equal.found(scenario)
        yield from self.constants.found(self.encoder)
        for sentinel in self.sentinels:
            yield from sentinel.found(scenario)
        for column in self.worded:
            yield from words.found(column, scenario, self.watched)
        for column in self.formed:
            yield from forms.within(column, scenario, self.watched)


def between(schema: Schema, surveys: Mapping[str, Survey], encoders: Mapping[str, Encoder]) -> Iterator[Finding]:
    """Findings on two scenarios or more, by what is known of each between the passes."""
    for feature in schema.numeric:
        yield from units.apart(feature, {name: own.numeric[feature.name].fit.scaler() for name, own in surveys.items()})
    for feature in schema.categorical:
        if feature.shared is not None and feature.shared.kind != "ids":  # integers have one form
            known = {
                name: own.vocabularies[feature.name]
                for name, own in encoders.items()
                if feature.name in own.vocabularies
            }
            if len(known) > 1:
                yield from forms.between(feature.name, known)
