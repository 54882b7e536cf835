"""What a scenario counts of its ids, and the sums over all of them that it hears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msmtrec.data.table import EncodedData, Field
from msmtrec.statistics.exchange import Half, Said, together
from msmtrec.statistics.fading import fading
from msmtrec.statistics.history import History
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.own import Own, owners
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.survey import Survey, agreed
from msmtrec.statistics.units import Units


@dataclass(frozen=True)
class Counted:
    """What is counted; the same for all scenarios.

    Args:
        fields: in order.
        summed: names of those whose sums over scenarios are read.
    """

    fields: tuple[Field, ...]
    summed: frozenset[str]
    units: Units

    @classmethod
    def of(cls, own: Own, survey: Survey, settings: StatisticsSettings) -> Counted:
        """From what all have said. own: any scenario's. Errors as `counting`."""
        fields = survey.fields(own.layout, settings)
        return cls(fields, agreed(own.agreed, fields, settings), survey.units(settings, timed=own.ordered))


@dataclass(frozen=True)
class Counts:
    """What one scenario has counted, and has heard of all.

    Args:
        fields: in order.
        own: field -> its history, numbered as `units`; sums of labels are above the scenario's rates.
        common: field -> all scenarios' histories summed, of those that are read. All as they are read: with decay they
            fade, after one last day for all scenarios, so that sums stay plain sums.
    """

    fields: tuple[Field, ...]
    units: Units
    own: Mapping[str, History]
    common: Mapping[str, History]

    @property
    def tables(self) -> dict[str, Sequence[History]]:
        """Field -> what the scenario's rows read, in order."""
        return {f.name: [self.own[f.name], *self._summed(f.name)] for f in self.fields}

    def _summed(self, name: str) -> list[History]:
        return [self.common[name]] if name in self.common else []


def counting(own: Own, settings: StatisticsSettings) -> Half[Counts]:
    """A scenario's half, in two steps: what is there, and counts of the fields whose sums are read.

    Raises:
        UserError: as `Survey.fields`, `agreed` and `Survey.units`.
    """
    survey = (yield Said(survey=Survey.of(own, settings))).survey
    assert survey is not None
    what = Counted.of(own, survey, settings)
    fields, summing, units = what.fields, what.summed, what.units
    ledger = Ledger.of(own.train, fields, units)
    if own.before is not None:
        before = own.before if units.ordered else own.before.as_one()
        ledger = before.at(units.numbers) + ledger
    counted = {name: history.above(ledger.seen.rates) for name, history in ledger.fields.items()}
    common: Mapping[str, History] = {}
    if summing and survey.scenarios > 1:
        common = (yield Said(histories={name: counted[name] for name in sorted(summing)})).histories
    decay = settings.decay
    return Counts(fields, units, fading(counted, units, decay), fading(common, units, decay))


def counted_of(data: EncodedData, settings: StatisticsSettings) -> Counted:
    """What would be counted of a data set; errors as `counting`."""
    own = owners(data)
    survey = Survey.together([Survey.of(one, settings) for one in own.values()])
    return Counted.of(next(iter(own.values())), survey, settings)


def count_all(
    data: EncodedData, settings: StatisticsSettings, before: Mapping[str, Ledger] | None = None
) -> dict[str, Counts]:
    """Scenario -> its counts, of scenarios that are all on this machine.

    Args:
        before: scenario -> what it counted in a run that training goes on from; of scenarios that are not in `data` the
            sums have a part too. Its fields are the ones that are counted.

    Raises:
        UserError: as `counting`.
    """
    settings = as_before(settings, before)
    return together({name: counting(own, settings) for name, own in owners(data, before).items()})


def as_before(settings: StatisticsSettings, before: Mapping[str, Ledger] | None) -> StatisticsSettings:
    """With the fields that were counted in an earlier run, where there is one."""
    if not before:
        return settings
    return settings.model_copy(update={"fields": tuple(next(iter(before.values())).fields)})
