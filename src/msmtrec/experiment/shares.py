"""How many processes a contender's scenarios are divided over, and which go where."""

from __future__ import annotations

import os

from msmtrec.base.member import Member
from msmtrec.data.table import EncodedData
from msmtrec.federation.site import Site
from msmtrec.federation.stacks import STACK_MEMBERS

STEPS, PRODUCTS = 5_000, 1e11
"""Steps of full stacks, or multiplications in first layers, from which workers pay, though each loads the libraries
once more: some 20 seconds of training with a small network, or with a large one."""


def shares_of(rounds: int, data: EncodedData, site: Site, members: list[Member], threads: int) -> list[list[Member]]:
    """One share for each process that trains; a single one, with all threads, where more of them do not pay.

    It follows from the config, the rows and the number of threads alone.

    rounds: of the whole training, fine-tuning among them.
    """
    if threads < 2 or len(members) < 2 or not pays(rounds, data, site, members):
        return [members]
    ordered = sorted(members, key=lambda m: -site.steps[m.scenario] * site.batches[m.scenario])
    count = min(threads, len(members))
    return [ordered[number::count] for number in range(count)]  # alike ones in turn: as much to do for each


def pays(rounds: int, data: EncodedData, site: Site, members: list[Member]) -> bool:
    """Whether processes gain more than they cost. A worker opens the encoded rows by their file: they must have one."""
    if os.name != "posix" or site.deck.device.type != "cpu" or site.stack == "all" or data.folder is None:
        return False
    steps = sum(site.steps[member.scenario] for member in members)
    rows = sum(site.steps[member.scenario] * site.batches[member.scenario] for member in members)
    largest = max(steps / (STEPS * STACK_MEMBERS), rows * site.model.first_products / PRODUCTS)
    return rounds * largest >= 1
