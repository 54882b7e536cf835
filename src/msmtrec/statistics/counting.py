"""What scenarios count of their ids, and the sums over them: all that passes from one to another but for moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msmtrec.base.errors import UserError, nearest
from msmtrec.data.table import EncodedData, Field, Rows
from msmtrec.statistics.fading import fading
from msmtrec.statistics.history import History, summed
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.units import Units, follow


def rows_of(data: EncodedData, split: str) -> dict[str, Rows]:
    """Scenario -> its rows, those inside a pooled table too."""
    tables = data.tables.values()
    return {name: table.splits[split].take(part) for table in tables for name, part in table.parts[split].items()}


def fields_of(data: EncodedData, settings: StatisticsSettings, place: str = "statistics") -> tuple[Field, ...]:
    """Those that are counted. place: where the settings stand, for sentences.

    Raises:
        UserError: a field that is named is none, or none is large enough.
    """
    known = {field.name: field for field in data.layout.fields}
    if settings.fields is not None:
        for name in settings.fields:
            if name not in known:
                raise UserError(
                    f"{place}.fields: there is no field '{name}' with ids; {nearest(name, known) if known else ''}"
                )
        return tuple(known[name] for name in settings.fields)
    parts = rows_of(data, "train").values()
    most = {field: max((_different(rows, field) for rows in parts), default=0) for field in data.layout.fields}
    found = tuple(field for field, values in most.items() if values >= settings.least)
    if not found:
        raise UserError(
            f"{place}: no field has {settings.least} values or more among a scenario's training rows; name some in"
            f" {place}.fields, or lower {place}.least"
        )
    return found


def _different(rows: Rows, field: Field) -> int:
    values = rows.ids[:, field.start : field.start + field.width]
    return len(np.unique(values[values >= 0]))


def agreed(
    data: EncodedData, fields: Iterable[Field], settings: StatisticsSettings, place: str = "statistics"
) -> frozenset[str]:
    """Names of the fields whose sums over scenarios are read; arguments as `fields_of`.

    Raises:
        UserError: one that is named is not counted, or scenarios did not agree on its ids; or there is none.
    """
    pooled = any(len(table.parts["train"]) > 1 for table in data.tables.values())
    declared = {feature.name for feature in data.schema.categorical if feature.shared}  # others stay apart there too
    wanted = settings.summed
    known = {field.name: field.shared or (pooled and field.name in declared) for field in fields}
    if isinstance(wanted, tuple):
        for name in wanted:
            if name not in known:
                raise UserError(f"{place}.summed: '{name}' is no field that is counted; {nearest(name, known)}")
            if not known[name]:
                raise UserError(f"{place}.summed: scenarios did not agree on the ids of '{name}'; {_NOT_AGREED}")
        return frozenset(wanted)
    found = frozenset(name for name, same in known.items() if same and wanted is not False)
    if wanted and not found:
        raise UserError(f"{place}.summed: no field that is counted has ids that scenarios agreed on; {_NOT_AGREED}")
    return found


_NOT_AGREED = "declare them 'shared', or set summed: false"


@dataclass(frozen=True)
class Counts:
    """What all scenarios have counted.

    Args:
        fields: in order.
        own: scenario -> field -> its history, numbered as `units`; sums of labels are above the scenario's rates.
        common: field -> its histories' sum over scenarios, of those that are read. All as they are read: with decay
            they fade, after one last day for all scenarios, so that sums stay plain sums.
    """

    fields: tuple[Field, ...]
    units: Units
    own: Mapping[str, Mapping[str, History]]
    common: Mapping[str, History]

    def tables(self, scenario: str) -> dict[str, Sequence[History]]:
        """Field -> what a scenario's rows read, in order."""
        own = self.own[scenario]
        return {f.name: [own[f.name], *self._summed(f.name)] for f in self.fields}

    def _summed(self, name: str) -> list[History]:
        return [self.common[name]] if name in self.common else []


def count_all(data: EncodedData, settings: StatisticsSettings, before: Mapping[str, Ledger] | None = None) -> Counts:
    """Every scenario's counts, and their sums.

    Args:
        before: scenario -> what it counted in a run that training goes on from; of scenarios that are not in `data` the
            sums have a part too. Its fields are the ones that are counted.

    Raises:
        UserError: a field is not there, or is not what is said of it.
    """
    rows, before = rows_of(data, "train"), before or {}
    if before:
        names = next(iter(before.values())).fields
        settings = settings.model_copy(update={"fields": tuple(names)})
    fields = fields_of(data, settings)
    summing, ordered = agreed(data, fields, settings), days_count(data, settings)
    if not ordered:
        before = {name: ledger.as_one() for name, ledger in before.items()}
    numbers = [ledger.numbers for ledger in before.values()]
    units = Units.of(rows.values(), ordered=ordered, delay=settings.delay, before=numbers)
    whole = {name: ledger.at(units.numbers) for name, ledger in before.items()}
    for name, part in rows.items():
        new = Ledger.of(part, fields, units)
        whole[name] = whole[name] + new if name in whole else new
    own = {
        name: {field: history.above(ledger.seen.rates) for field, history in ledger.fields.items()}
        for name, ledger in whole.items()
    }
    common = {name: summed([histories[name] for histories in own.values()]) for name in sorted(summing)}
    faded = {name: fading(own[name], units, settings.decay) for name in rows}
    return Counts(fields, units, faded, fading(common, units, settings.decay) if len(own) > 1 else {})


def days_count(data: EncodedData, settings: StatisticsSettings) -> bool:
    """Whether history is of days, not of blocks.

    Raises:
        UserError: days are asked for, and the log has no times; or decay, and history is of blocks.
    """
    days = _days_count(data, settings)
    if settings.decay < 1 and not days:
        why, what = "these logs have no times", "set decay: 1"
        if data.ordered:
            why, what = "history: auto takes blocks here", "set history: days, or decay: 1"
        raise UserError(f"statistics.decay: {settings.decay} is by days, and {why}; {what}")
    return days


def _days_count(data: EncodedData, settings: StatisticsSettings) -> bool:
    if settings.history == "days" and not data.ordered:
        raise UserError("statistics.history: days, but these logs have no times; take blocks, or auto")
    if settings.history != "auto" or not data.ordered:
        return settings.history == "days"
    return follow(rows_of(data, "train"), rows_of(data, "validation"), settings.delay)
