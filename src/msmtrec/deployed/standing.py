"""A node's scenarios in one training: their memories after an exchange, and after earlier ones as long as needed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.deployed.messages import Do, Done
from msmtrec.federation import checkpoint as snapshots
from msmtrec.federation.memory import Memory, Shipment
from msmtrec.runtime.in_process import InProcess

Memories = dict[Member, Memory]


class NodeStanding:
    """Memories by the exchange that they stand after.

    A snapshot is written after each exchange, before anybody hears of it: whatever is killed, the server can ask again
    from an exchange of which it knows the answer.

    Args:
        clients: before the first exchange.
        folder: of snapshots.
    """

    def __init__(self, clients: InProcess, folder: Path) -> None:
        self.clients, self.folder, self.after = clients, folder, 0
        self._first = dict(clients.memories)

    def do(self, asked: Do) -> Done:
        """Carry out orders, from where they are meant to begin.

        Raises:
            UserError: these memories are no longer there, or not of this machine; or the snapshot cannot be written.
        """
        foreign = [member for member in asked.orders if member not in self.clients.memories]
        if foreign:
            raise UserError(f"there is no scenario '{foreign[0].scenario}' with seed {foreign[0].seed} on this node")
        self.stand(asked.after)
        reports = dict(self.clients(asked.orders))
        self.after = asked.number
        snapshots.write(self._place(asked.number), self.clients.memories)
        if asked.durable > 0:
            self._first = {}
        self._forget(min(asked.after, asked.durable), asked.number)
        return Done(reports)

    def stand(self, after: int) -> None:
        """Take the memories as they were after an exchange; errors as those of `do`."""
        if after == self.after:
            return
        if after == 0 and self._first:
            self.clients.memories = dict(self._first)
        else:
            place = self._place(after)
            if not place.exists():
                raise UserError(
                    f"{self.folder} has nothing of exchange {after}, from which the server goes on; restore that folder"
                    " from where it was, or begin the training anew"
                )
            found = snapshots.read(place, Memories)
            ship = Shipment(self.clients.site.deck.device)
            self.clients.memories = {m: replace(memory, slots=ship(memory.slots)) for m, memory in found.items()}
        self.after = after

    def _place(self, number: int) -> Path:
        return self.folder / f"exchange-{number:06d}"

    def _forget(self, before: int, last: int) -> None:
        """Snapshots of exchanges earlier than one, and of those that were never answered."""
        for place in self.folder.glob("exchange-*"):
            number = int(place.name.removeprefix("exchange-").removesuffix(".tmp"))
            if number < before or number > last or place.suffix:
                shutil.rmtree(place, ignore_errors=True)

    def members(self) -> list[Member]:
        return list(self.clients.memories)
