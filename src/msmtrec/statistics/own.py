"""One scenario's rows, as far as statistics are made of them: what its half of an exchange has, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

from msmtrec.data.table import EncodedData, Layout, Rows
from msmtrec.statistics.ledger import Ledger


@dataclass(frozen=True)
class Own:
    """Of one scenario, inside a pooled table too.

    Args:
        train, validation: its rows; of the latter only the days are looked at.
        ordered: whether units of history are days.
        agreed: names of the fields in whose ids scenarios agreed.
        group: the field of the users, where there is one.
        before: what it counted in a run that training goes on from.
    """

    train: Rows
    validation: Rows
    layout: Layout
    _: KW_ONLY
    ordered: bool
    agreed: frozenset[str]
    group: str | None = None
    before: Ledger | None = None


def rows_of(data: EncodedData, split: str) -> dict[str, Rows]:
    """Scenario -> its rows, those inside a pooled table too."""
    tables = data.tables.values()
    return {name: table.splits[split].take(part) for table in tables for name, part in table.parts[split].items()}


def owners(data: EncodedData, before: Mapping[str, Ledger] | None = None) -> dict[str, Own]:
    """Scenario -> its own, those of `before` first; one that has no rows in `data` has none."""
    pooled = any(len(table.parts["train"]) > 1 for table in data.tables.values())
    declared = {feature.name for feature in data.schema.categorical if feature.shared}  # others stay apart there too
    agreed = frozenset(f.name for f in data.layout.fields if f.shared or (pooled and f.name in declared))
    train, validation, before = rows_of(data, "train"), rows_of(data, "validation"), before or {}
    nothing = next(iter(train.values())).take(slice(0, 0))
    return {
        name: Own(
            train.get(name, nothing),
            validation.get(name, nothing),
            data.layout,
            ordered=data.ordered,
            agreed=agreed,
            group=data.schema.group,
            before=before.get(name),
        )
        for name in dict.fromkeys((*before, *train))
    }
