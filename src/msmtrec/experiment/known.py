"""What a contender knows of its rows before any network trains."""

from __future__ import annotations

from msmtrec.base.errors import UserError
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData
from msmtrec.experiment.start import Start
from msmtrec.methods.settings.linear import BiasSettings
from msmtrec.models.base import Model
from msmtrec.models.in_place import in_place
from msmtrec.statistics.encoded import Statistics, with_statistics
from msmtrec.statistics.exchange import together
from msmtrec.statistics.fitting import fit_all
from msmtrec.statistics.means import averaging
from msmtrec.statistics.own import owners


def known_rows(
    contender: Contender, data: EncodedData, start: Start | None = None
) -> tuple[EncodedData, Statistics | None]:
    """The rows with what they read of their ids, and what that is; as they are, and None, where a contender has none.

    Args:
        start: the run that this one goes on from: what was counted there counts.

    Raises:
        UserError: a field that is named is none, or there is none to count.
    """
    place = f"methods.{contender.name}"
    try:
        if isinstance(contender.settings, BiasSettings):
            counting = contender.settings.counting
            means = together({name: averaging(own, counting) for name, own in owners(data).items()})
            found = Statistics(data.layout, means)
        elif contender.statistics is not None:
            before = start.ledgers(contender, data) if start else None
            found = Statistics(data.layout, fit_all(data, contender.statistics, before))
        else:
            return data, None
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    return with_statistics(data, found), found


def rows_as_it_was(contender: Contender, data: EncodedData, start: Start) -> tuple[EncodedData, Statistics | None]:
    """As `known_rows`, with what the models of `start` look up of their ids."""
    _, known = known_rows(contender, data, start)
    if known is None:
        return data, None
    found = start.looked_up(contender, data, known.known)
    return with_statistics(data, found), found


def network(contender: Contender, data: EncodedData) -> Model:
    """The network that trains on these rows, or what stands in its place."""
    alone = contender.entry.alone
    return in_place(data.layout, alone) if alone else contender.model.build(data.layout)
