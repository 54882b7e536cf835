"""How many processes a contender's scenarios are divided over, and which go where."""

from __future__ import annotations

import os

from msmtrec.base.member import Member
from msmtrec.config.contender import Contender
from msmtrec.data.table import EncodedData
from msmtrec.federation.cores import LARGE
from msmtrec.federation.scenario import STACK_MEMBERS, Site

LONG = 5_000
"""Steps of full stacks from which workers pay, though each loads the libraries once more: 20 seconds of training."""


def shares_of(
    contender: Contender, data: EncodedData, site: Site, members: list[Member], threads: int
) -> list[list[Member]]:
    """One share for each process that trains; a single one where a second core is of no use.

    Networks with long steps use the cores as threads (`federation.cores`). A worker opens the encoded rows by
    their file, so that there has to be one. It follows from the config, the rows and the number of threads alone.
    """
    if threads < 2 or not pays(contender, data, site, members):
        return [members]
    ordered = sorted(members, key=lambda m: -site.steps[m.scenario] * site.batches[m.scenario])
    count = min(threads, len(members))
    return [ordered[number::count] for number in range(count)]  # alike ones in turn: as much to do for each


def pays(contender: Contender, data: EncodedData, site: Site, members: list[Member]) -> bool:
    """Whether processes gain more than they cost."""
    if os.name != "posix" or site.deck.device.type != "cpu" or site.stack == "all" or data.folder is None:
        return False
    largest = max(site.batches[member.scenario] for member in members)
    if len(members) < 2 or site.model.first_products * largest * min(len(members), STACK_MEMBERS) >= LARGE:
        return False
    steps = sum(site.steps[member.scenario] for member in members)
    return contender.rounds * steps >= LONG * STACK_MEMBERS
