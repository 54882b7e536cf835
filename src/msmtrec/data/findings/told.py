"""Everything that was found in encoded data, as it is told: one sentence of a kind, the heaviest first."""

from __future__ import annotations

from collections.abc import Iterator

from msmtrec.data.encoding.extremes import oddities
from msmtrec.data.encoding.shares import split_sentences
from msmtrec.data.findings.finding import Finding, Weight, folded
from msmtrec.data.findings.labels import one_column
from msmtrec.data.findings.names import alike
from msmtrec.data.logs import POOLED
from msmtrec.data.table import EncodedData


def findings(data: EncodedData) -> list[Finding]:
    """Of every kind the worst, which says where else there are some."""
    return folded([*_known(data), *_odd(data)])


def _known(data: EncodedData) -> Iterator[Finding]:
    if POOLED not in data.tables:  # which sees the same rows once more
        for sentence in split_sentences(data):
            yield Finding(f"split: {sentence}", "", "", sentence, size=0, weight=Weight.WARNING)
    yield from one_column(data.schema)
    yield from alike(name for name in data.layout.scenarios if name)
    for table in data.tables.values():
        yield from (Finding.from_dict(raw) for raw in table.encoding["findings"])


def _odd(data: EncodedData) -> Iterator[Finding]:
    """Odd numbers are folded already, column by column."""
    for sentence in oddities(data):
        yield Finding(f"odd: {sentence}", "", "", sentence, size=0, weight=Weight.WARNING)
