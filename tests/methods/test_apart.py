"""Every scenario on a machine of its own, with its own rows only: the same bits as all scenarios on one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from methods.federation import Case, Federation, data
from methods.test_residual import each
from msmtrec.base.member import Member
from msmtrec.base.packing import pack, unpack
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report
from msmtrec.runtime.in_process import InProcess


class Apart:
    """Implements `messages.Exchange`: a machine for each member; tensors and plain values go between them."""

    def __init__(self, whole: Federation) -> None:
        site, held = whole.site, whole.runtime.memories
        self.machines: dict[Member, InProcess] = {}
        for member, memory in held.items():
            name = member.scenario
            rows = only(site.data, name)
            own = replace(
                site,
                data=rows,
                deck=Deck(rows, torch.float64, torch.device("cpu")),
                batches={name: site.batches[name]},
                steps={name: site.steps[name]},
            )
            self.machines[member] = InProcess(own, {member: through(Memory, memory)})

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        found = {}
        for member in reversed(orders):  # who answers first does not matter
            ((_, report),) = self.machines[member]({member: through(Order, orders[member])})
            found[member] = through(Report, report)
        return [(member, found[member]) for member in orders]


def only(whole: EncodedData, name: str) -> EncodedData:
    """What one scenario has encoded."""
    table = whole.tables[name]
    return replace(whole, tables={name: table}, whole=table.splits, folder=None)


def through(kind: Any, value: Any) -> Any:
    """Packed, and unpacked with memory of its own."""
    tensors, plain = pack(value)
    return unpack(kind, {name: tensor.clone() for name, tensor in tensors.items()}, plain)


@each
def test_apart_is_together(case: Case) -> None:
    """What a scenario does follows from its own rows and its orders, and from nothing else."""
    together = Federation(case, 3, participation=0.7)
    together.site = replace(together.site, stack="off")
    together.runtime.site = together.site
    apart = Federation(case, 3, participation=0.7)
    apart.site = replace(apart.site, stack="off")
    machines = Apart(apart)
    served = together.run().served()
    apart.run(machines)
    for member, machine in machines.machines.items():
        apart.runtime.memories[member] = machine.memories[member]
    for name, value in apart.served().items():
        assert torch.equal(value, served[name]), name
    assert str(apart.journal.found) == str(together.journal.found)
    assert len(data().scenarios) == len(served) == 3
