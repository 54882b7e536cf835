"""What scenarios have counted of their ids, kept with the run: a later one adds newer rows to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData
from msmtrec.experiment.encoders import variant
from msmtrec.experiment.start import Start
from msmtrec.record.directory import ledger_file, writing
from msmtrec.statistics.counting import counted_of
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.ledger_files import save_ledger
from msmtrec.statistics.own import rows_of
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.units import Units


def keep_ledgers(
    run: Path, data: Mapping[str, EncodedData], contenders: Iterable[Contender], start: Start | None = None
) -> None:
    """Write what is not there yet: of each variant all fields that any of its contenders counts.

    Pooled rows have none: what they are is in one place, and nothing goes on from them.

    Raises:
        UserError: as `counting`, or the directory cannot be written.
    """
    fields: dict[str, dict[str, None]] = {}
    looked_at = set[tuple[str, StatisticsSettings]]()
    for contender in contenders:
        kind, settings = variant(contender), contender.statistics
        if settings is None or (kind, settings) in looked_at:
            continue
        looked_at.add((kind, settings))
        counted = _counted(contender, settings, data[kind])
        if not contender.entry.pooled:
            fields.setdefault(kind, {}).update({} if start else dict.fromkeys(counted))
    with writing(run):
        for kind, names in fields.items():
            _keep(run, kind, data[kind], tuple(names), start)


def _counted(contender: Contender, settings: StatisticsSettings, data: EncodedData) -> list[str]:
    """Names of the fields that a contender counts, after all has been asked that could be refused."""
    try:
        fields = counted_of(data, settings).fields
    except UserError as error:
        raise UserError(f"methods.{contender.title}: {error}") from error
    return [field.name for field in fields]


def _keep(run: Path, kind: str, data: EncodedData, names: tuple[str, ...], start: Start | None) -> None:
    before = {} if start is None else {name: start.ledger(kind, name, data) for name in start.counted(kind)}
    if before:
        names = tuple(next(iter(before.values())).fields)
    fields = [field for field in data.layout.fields if field.name in names]
    for scenario, rows in rows_of(data, "train").items():
        known = before.pop(scenario, None)
        units = Units.of([rows], ordered=data.ordered, before=[known.numbers] if known else [])
        found = Ledger.of(rows, fields, units)
        _save(run, kind, scenario, found if known is None else known.at(units.numbers) + found)
    for scenario, ledger in before.items():  # without rows this time
        _save(run, kind, scenario, ledger)


def _save(run: Path, kind: str, scenario: str, ledger: Ledger) -> None:
    path = ledger_file(run, kind, scenario)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        save_ledger(temporary, ledger)
        temporary.rename(path)
