"""What scenarios say of their rows before anything is counted, and what follows from it for all of them alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError, nearest
from msmtrec.data.table import Field, Layout, Rows
from msmtrec.statistics.ledger import EARLIER
from msmtrec.statistics.own import Own
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.units import Depth, Units, unit_of

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """Of one scenario, or of several together.

    Args:
        scenarios: how many.
        values: field -> different values that a scenario's training rows have, at most; empty where fields are named.
        depth: how far back training rows could read, where that decides.
        days, blocks: units that have training rows, ascending; empty where history cannot be of these.
    """

    scenarios: int
    values: Mapping[str, int]
    depth: Depth
    _: KW_ONLY
    days: Numbers
    blocks: Numbers

    @classmethod
    def of(cls, own: Own, settings: StatisticsSettings, *, units: bool = True) -> Survey:
        """units: whether anybody will ask for them."""
        fields = own.layout.fields if settings.fields is None else ()
        days = units and own.ordered and settings.history != "blocks"
        blocks = units and settings.history != "days"
        choose = days and blocks
        earlier = own.before
        return cls(
            1,
            {field.name: _different(own.train, field) for field in fields},
            Depth.of(own.train, own.validation, settings.delay) if choose else Depth(),
            days=_units(own.train, [earlier.numbers] if earlier else [], ordered=True) if days else _NONE,
            blocks=_units(own.train, [np.array([EARLIER])] if earlier else [], ordered=False) if blocks else _NONE,
        )

    @classmethod
    def together(cls, parts: Sequence[Survey]) -> Survey:
        """Of all scenarios: the largest, the sum, the union."""
        names = dict.fromkeys(name for part in parts for name in part.values)
        return cls(
            sum(part.scenarios for part in parts),
            {name: max(part.values[name] for part in parts) for name in names},
            sum((part.depth for part in parts), Depth()),
            days=_union([part.days for part in parts]),
            blocks=_union([part.blocks for part in parts]),
        )

    def fields(self, layout: Layout, settings: StatisticsSettings, place: str = "statistics") -> tuple[Field, ...]:
        """Those that are counted. place: where the settings stand, for sentences.

        Raises:
            UserError: a field that is named is none, or none is large enough.
        """
        known = {field.name: field for field in layout.fields}
        if settings.fields is not None:
            for name in settings.fields:
                if name not in known:
                    raise UserError(
                        f"{place}.fields: there is no field '{name}' with ids; {nearest(name, known) if known else ''}"
                    )
            return tuple(known[name] for name in settings.fields)
        found = tuple(field for field in layout.fields if self.values.get(field.name, 0) >= settings.least)
        if not found:
            raise UserError(
                f"{place}: no field has {settings.least} values or more among a scenario's training rows; name some in"
                f" {place}.fields, or lower {place}.least"
            )
        return found

    def units(self, settings: StatisticsSettings, *, timed: bool) -> Units:
        """Of what history is. timed: whether the logs have times.

        Raises:
            UserError: days are asked for, and the log has no times; or decay, and history is of blocks.
        """
        if settings.history == "days" and not timed:
            raise UserError("statistics.history: days, but these logs have no times; take blocks, or auto")
        days = settings.history == "days" or (settings.history == "auto" and timed and self.depth.reaches)
        if settings.decay < 1 and not days:
            why, what = "these logs have no times", "set decay: 1"
            if timed:
                why, what = "history: auto takes blocks here", "set history: days, or decay: 1"
            raise UserError(f"statistics.decay: {settings.decay} is by days, and {why}; {what}")
        return Units(self.days if days else self.blocks, days, settings.delay if days else 0)


_NONE = np.empty(0, np.int64)
_NOT_AGREED = "declare them 'shared', or set summed: false"


def agreed(
    own: Iterable[str], fields: Iterable[Field], settings: StatisticsSettings, place: str = "statistics"
) -> frozenset[str]:
    """Names of the fields whose sums over scenarios are read.

    Args:
        own: names of those in whose ids scenarios agreed.
        fields: that are counted. place: where the settings stand, for sentences.

    Raises:
        UserError: one that is named is not counted, or scenarios did not agree on its ids; or there is none.
    """
    wanted, same = settings.summed, set(own)
    known = {field.name: field.name in same for field in fields}
    if isinstance(wanted, tuple):
        for name in wanted:
            if name not in known:
                raise UserError(f"{place}.summed: '{name}' is no field that is counted; {nearest(name, known)}")
            if not known[name]:
                raise UserError(f"{place}.summed: scenarios did not agree on the ids of '{name}'; {_NOT_AGREED}")
        return frozenset(wanted)
    found = frozenset(name for name, both in known.items() if both and wanted is not False)
    if wanted and not found:
        raise UserError(f"{place}.summed: no field that is counted has ids that scenarios agreed on; {_NOT_AGREED}")
    return found


def _different(rows: Rows, field: Field) -> int:
    values = rows.ids[:, field.start : field.start + field.width]
    return len(np.unique(values[values >= 0]))


def _units(rows: Rows, before: Iterable[Numbers], *, ordered: bool) -> Numbers:
    return _union([unit_of(rows, ordered=ordered), *before])


def _union(parts: Sequence[NDArray[np.integer]]) -> Numbers:
    found = [np.unique(part).astype(np.int64) for part in parts]
    return np.unique(np.concatenate([_NONE, *found]))
