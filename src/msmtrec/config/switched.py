"""Groups of a contender that may be switched off: fine-tuning, statistics of ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build, shown
from msmtrec.methods import METHODS, Entry
from msmtrec.statistics.settings import StatisticsSettings

WITHOUT = {
    "fine_tune": "is not fine-tuned; set its fine_tune: true, or remove this key",
    "statistics": "has no statistics; move the key to methods.NAME.tune of those that have them",
}
"""What a key of the grid says of a contender without the group."""


def statistics_of(raw: Mapping[str, Any] | None, entry: Entry, place: str) -> StatisticsSettings | None:
    """From the group that `statistics_group` gave."""
    if raw is None:
        return None
    found = build(StatisticsSettings, raw, f"{place}.statistics")
    if not entry.alone or entry.boosted:
        return found
    if found.wide == "none":
        raise UserError(f"{place}: linear is the linear head; set its statistics.wide: offset")
    return found.model_copy(update={"inputs": False})  # nobody reads them


def statistics_group(common: Any, own: Any, method: str, place: str) -> dict[str, Any] | None:
    """As `_switched`; `linear` is made of them, `bias` has its own, and trees read them unless it is said otherwise."""
    if method == "bias":
        common = None
    found = _switched("statistics", common, own, place)
    if method == "bias" and found is not None:
        raise UserError(f"{place}: bias has means of its own, under options; remove statistics")
    if method == "linear" and own is False:
        raise UserError(f"{place}: linear is the linear head of statistics; remove statistics: false")
    if method == "linear" and found is None:
        return {}
    if METHODS[method].boosted and found is not None:
        return {"inputs": True, **found}
    return found


def fine_tune_group(common: Any, own: Any, entry: Entry, place: str) -> dict[str, Any] | None:
    """As `_switched`; a pooled model has none of the common one, nor has what trains no network."""
    found = _switched("fine_tune", None if (entry.pooled or entry.alone) and own is None else common, own, place)
    if entry.alone and found is not None:
        raise UserError(f"{place}: there is no network to fine-tune; remove fine_tune")
    if entry.pooled and found is not None:
        raise UserError(f"{place}: a pooled model has no scenario to fine-tune to; remove fine_tune")
    return found


def _switched(key: str, common: Any, own: Any, place: str) -> dict[str, Any] | None:
    """Settings of what may be off, None where it is: the contender's word counts before the common one.

    true and an empty group are the defaults.
    """
    for raw, where in ((common, key), (own, f"{place}.{key}")):
        if not isinstance(raw, bool | Mapping | None):
            raise UserError(f"{where} must be true, false or a group of settings, not {shown(raw)}")
    if own is False or (own is None and (common is None or common is False)):
        return None
    return {**(common if isinstance(common, Mapping) else {}), **(own if isinstance(own, Mapping) else {})}
