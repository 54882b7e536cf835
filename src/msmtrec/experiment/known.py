"""What a contender knows of its rows before any network trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from msmtrec.base.errors import UserError
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData, Layout
from msmtrec.experiment.start import Start
from msmtrec.methods.settings.linear import BiasSettings
from msmtrec.models.base import Model
from msmtrec.models.in_place import in_place
from msmtrec.statistics.counting import as_before
from msmtrec.statistics.encoded import Known, Statistics, with_statistics
from msmtrec.statistics.exchange import Half, together
from msmtrec.statistics.fitting import fitting
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.means import averaging
from msmtrec.statistics.own import owners, rows_of


def known_rows(
    contender: Contender, data: EncodedData, start: Start | None = None
) -> tuple[EncodedData, Statistics | None]:
    """The rows with what they read of their ids, and what that is; as they are, and None, where a contender has none.

    Args:
        start: the run that this one goes on from: what was counted there counts.

    Raises:
        UserError: a field that is named is none, or there is none to count.
    """
    before = start.ledgers(contender, data) if start and contender.statistics else None
    with _named(contender):
        known = together(halves(contender, data, before))
    if not known:
        return data, None
    found = Statistics(data.layout, {name: known[name] for name in rows_of(data, "train")})
    return with_statistics(data, found), found


def halves(
    contender: Contender, data: EncodedData, before: Mapping[str, Ledger] | None = None
) -> dict[str, Half[Known]]:
    """Scenario -> its half of the exchange in which it comes to know something; {} where a contender knows nothing."""
    if isinstance(contender.settings, BiasSettings):
        means = contender.settings.counting
        return {name: averaging(own, means) for name, own in owners(data).items()}
    if contender.statistics is None:
        return {}
    counted = as_before(contender.statistics, before)
    return {name: fitting(own, counted) for name, own in owners(data, before).items()}


@contextmanager
def _named(contender: Contender) -> Iterator[None]:
    """Sentences begin with the contender."""
    try:
        yield
    except UserError as error:
        raise UserError(f"methods.{contender.name}: {error}") from error


def rows_as_it_was(contender: Contender, data: EncodedData, start: Start) -> tuple[EncodedData, Statistics | None]:
    """As `known_rows`, with what the models of `start` look up of their ids."""
    _, known = known_rows(contender, data, start)
    if known is None:
        return data, None
    found = start.looked_up(contender, data, known.known)
    return with_statistics(data, found), found


def network(contender: Contender, layout: Layout) -> Model:
    """The network that trains on rows of this layout, or what stands in its place."""
    alone = contender.entry.alone
    return in_place(layout, alone) if alone else contender.model.build(layout)
