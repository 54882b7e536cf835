"""What messages carry in place of float32: halves both ways, and uploads as coded differences with error feedback.

Of a coded upload both ends keep what was last said, and only the difference travels, coded; what coding leaves out
stays in the next difference (EF21, Richtárik, Sokolov, Fatkhullin, NeurIPS 2021). A first upload is whole, and so is
one after an upload that could not be used. Rows of shared tables, which are few already, are halved only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from msmtrec.base.coded import Coded, Values, coded, decoded
from msmtrec.base.finite import all_finite
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Exchange, Order, Report
from msmtrec.methods.base import Offer, Reply, Upload

Said = Mapping[str, Parameters]
"""Slot -> what was last said of it."""
_SAID = ".said"
"""`SLOT.said` is the scenario's copy of it."""


@dataclass(frozen=True)
class Wire:
    """How tensors of float32 travel; others go as they are.

    Args:
        values: float32 as it is; float16 both ways; int8 for uploads of networks, and float16 for all else.
        top_k: share of a network tensor's entries that an upload carries, those that have changed most.
    """

    values: Values = "float32"
    top_k: float | None = None

    @property
    def half(self) -> bool:
        return self.values != "float32"

    @property
    def coded(self) -> bool:
        """Whether uploads are differences."""
        return self.values == "int8" or self.top_k is not None

    def size(self, value: Tensor) -> int:
        """Bytes of a tensor that goes to a scenario."""
        return value.numel() * (2 if self.half and value.dtype is torch.float32 else value.element_size())

    def narrowed(self, orders: Mapping[Member, Order]) -> Mapping[Member, Order]:
        """What scenarios are given; one tensor for all who get the same stays one."""
        if not self.half:
            return orders
        halves = _Halves()
        return {
            member: replace(
                order,
                reply=halves.reply(order.reply),
                refresh=halves.reply(order.refresh),
                offer=halves.offer(order.offer),
            )
            for member, order in orders.items()
        }

    def sent(self, upload: Upload, memory: Memory, whole: bool) -> tuple[Upload, Memory]:
        """What leaves a scenario, and its memory of what it has said. whole: no difference, as the server asks.

        Raises:
            ValueError: a number is beyond float16.
        """
        if not (self.half or self.coded):
            return upload, memory
        now, said = None, {slot: memory.slots.get(slot + _SAID, {}) for slot in upload.slots}
        if self.coded and not whole and all(said.values()):
            last = {slot: {name: value.cpu() for name, value in own.items()} for slot, own in said.items()}
            changes = {
                slot: {name: coded(value - last[slot][name], self.values, self.top_k) for name, value in own.items()}
                for slot, own in upload.slots.items()
            }
            upload, now = replace(upload, slots={}, changes=changes), _after(changes, last)
        if self.half:
            upload = _Halves().upload(upload)
        for name, value in _tensors(upload):
            if not all_finite(value):
                raise ValueError(f"scenario '{upload.scenario}' sent '{name}' with values beyond float16")
        if self.coded:
            memory = memory.put({slot + _SAID: own for slot, own in (now or _widened(upload.slots)).items()})
        return upload, memory

    def received(self, report: Report, said: Said | None) -> tuple[Report, Said | None]:
        """A report with its upload as it was meant, and what was said by it; None where that cannot be known."""
        upload = report.upload
        if upload is None:
            return report, None if report.refused else said
        try:
            slots = self._slots(upload, said)
        except (ValueError, KeyError) as error:
            why = f"scenario '{upload.scenario}' sent a difference that is none: {error}"
            return replace(report, upload=None, refused=why), None
        tables = {name: replace(own, rows=_float(own.rows)) for name, own in upload.tables.items()}
        return replace(report, upload=replace(upload, slots=slots, tables=tables, changes={})), slots

    def _slots(self, upload: Upload, said: Said | None) -> Said:
        """Errors: ValueError and KeyError where it is a difference to something else than was said."""
        if not upload.changes:
            return _widened(upload.slots)
        if said is None or not self.coded:
            raise ValueError("nothing was said before")
        if upload.slots or upload.changes.keys() != said.keys():
            raise ValueError("not of all that was said")
        if fault := [slot for slot, own in upload.changes.items() if own.keys() != said[slot].keys()]:
            raise ValueError(f"not of all that was said of '{fault[0]}'")
        return _after(upload.changes, said)


PLAIN = Wire()


@dataclass(frozen=True)
class Narrowed:
    """Implements `messages.Exchange`: another one, for orders as they travel."""

    wire: Wire
    exchange: Exchange

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        return self.exchange(self.wire.narrowed(orders))


@dataclass
class _Halves:
    """Tensors as float16, each made once."""

    _made: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __call__(self, value: Tensor) -> Tensor:
        if value.dtype is not torch.float32:
            return value
        if id(value) not in self._made:
            self._made[id(value)] = value, value.half()  # the first is kept, so that its id stays its own
        return self._made[id(value)][1]

    def slots(self, slots: Mapping[str, Parameters]) -> dict[str, Parameters]:
        return {slot: {name: self(value) for name, value in own.items()} for slot, own in slots.items()}

    def upload(self, upload: Upload) -> Upload:
        tables = {name: replace(own, rows=self(own.rows)) for name, own in upload.tables.items()}
        return replace(upload, slots=self.slots(upload.slots), tables=tables)

    def reply(self, reply: Reply | None) -> Reply | None:
        return None if reply is None else Reply(self.slots(reply.slots))

    def offer(self, offer: Offer | None) -> Offer | None:
        if offer is None:
            return None
        parts = (replace(p, parameters={n: self(value) for n, value in p.parameters.items()}) for p in offer.parts)
        return replace(offer, parts=tuple(parts))


def _after(changes: Mapping[str, Mapping[str, Coded]], said: Said) -> Said:
    """What has been said with them; errors as `decoded`."""
    return {
        slot: {name: decoded(change, said[slot][name]) for name, change in own.items()} for slot, own in changes.items()
    }


def _float(value: Tensor) -> Tensor:
    return value.float() if value.dtype is torch.float16 else value


def _widened(slots: Mapping[str, Parameters]) -> dict[str, Parameters]:
    return {slot: {name: _float(value) for name, value in own.items()} for slot, own in slots.items()}


def _tensors(upload: Upload) -> Iterable[tuple[str, Tensor]]:
    """What float16 may have made infinite."""
    for own in upload.slots.values():
        yield from own.items()
    for changes in upload.changes.values():
        for name, change in changes.items():
            yield name, change.values
    for name, rows in upload.tables.items():
        yield name, rows.rows
