"""From what a scenario answers to its upload; whatever is wrong with it is a sentence that names the scenario."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import torch
from flwr.app import ArrayRecord, RecordDict
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import BUFFERS
from msmtrec.deployed.strategy.records import IDS, OWN, TASKS, TOUCHES, number_in, tensor_of
from msmtrec.deployed.strategy.role_table import RoleTable
from msmtrec.deployed.strategy.stacked import Stacked, join, split
from msmtrec.federation.server import check_parameters
from msmtrec.methods.base import Answer, Offer, TableRows, Upload
from msmtrec.methods.phases import MODEL

MOST = 2**31 - 1
"""Rows of a scenario, for they count touches too."""


@dataclass(frozen=True)
class Reader:
    """Args:
    table: of the network.
    leaving: names, as declared, of what leaves.
    tasks: the federation's.
    arrays, rows: names that Flower's users choose: of the ArrayRecord, and of the number of rows in a MetricRecord.
    """

    table: RoleTable
    leaving: tuple[str, ...]
    tasks: tuple[str, ...]
    _: KW_ONLY
    arrays: str
    rows: str

    @property
    def network(self) -> tuple[Stacked, ...]:
        """What leaves, averaged tables apart."""
        return tuple(one for one in self.table.of(self.leaving) if one.form != "table")

    @property
    def tables(self) -> tuple[Stacked, ...]:
        return tuple(one for one in self.table.of(self.leaving) if one.form == "table")

    def upload(self, scenario: str, content: RecordDict, before: Parameters) -> Upload:
        """What a scenario has sent.

        Args:
            before: what it trained on from.

        Raises:
            ValueError: it cannot be used.
        """
        sent, rows = content.array_records.get(self.arrays), number_in(content.metric_records, self.rows)
        if sent is None:
            raise ValueError(f"scenario '{scenario}' sent no '{self.arrays}'")
        if rows is None or not (1 <= rows <= MOST and rows % 1 == 0):
            raise ValueError(f"scenario '{scenario}' says that its rows, '{self.rows}', are {rows}")
        has = self._has(scenario, content)
        expected = split(self.network, before)
        try:
            found = {name: _like(sent, name, value) for name, value in expected.items() if name in sent}
            tables = {
                one.name: _rows(one, content, _like(sent, one.name, before[one.name]), int(rows))
                for one in self.tables
                if one.name in sent
            }
        except ValueError as error:
            raise ValueError(f"scenario '{scenario}' {error}") from error
        if fault := check_parameters(scenario, found, expected, expected):
            raise ValueError(fault)
        joined = join(self.network, found)
        return Upload(scenario, int(rows), has, {MODEL: joined}, tables=tables, norm=self._norm(joined, before))

    def _has(self, scenario: str, content: RecordDict) -> tuple[bool, ...]:
        said = content.config_records[OWN].get(TASKS) if OWN in content.config_records else None
        if said is None:
            return (True,) * len(self.tasks)
        names = said if isinstance(said, list) else [said]
        if not names or not set(names) <= set(self.tasks):
            raise ValueError(f"scenario '{scenario}' says that its tasks are {said!r}, of {', '.join(self.tasks)}")
        return tuple(task in names for task in self.tasks)

    def _norm(self, sent: Parameters, before: Parameters) -> float:
        """How long its update is, as the server sees it."""
        trained = [d.name for d in self.table.declarations if d.name in sent and d.role not in BUFFERS]
        squared = sum(float((sent[name].double() - before[name].double()).square().sum()) for name in trained)
        return float(squared**0.5)


def _like(sent: ArrayRecord, name: str, expected: Tensor) -> Tensor:
    """In the type of what is expected.

    Raises:
        ValueError: it is no array, or of whole numbers where others are expected, or the other way round.
    """
    found = tensor_of(sent, name)
    if found.is_floating_point() != expected.is_floating_point():
        kinds = [str(one.dtype).removeprefix("torch.") for one in (found, expected)]
        raise ValueError(f"sent '{name}' as {kinds[0]}, not {kinds[1]}")
    return found.to(expected.dtype)


def _rows(one: Stacked, content: RecordDict, value: Tensor, rows: int) -> TableRows:
    """Rows of a table that is averaged: those of `ids` as often as they were used, or all by the number of rows.

    Raises:
        ValueError: they are no such rows.
    """
    ids = _numbers(content, IDS, one.name)
    touches = _numbers(content, TOUCHES, one.name)
    count, width = (one.shape[0] if one.shape else 1), math.prod(one.shape[1:])
    if ids is None and touches is None:
        ids, touches = torch.arange(count, dtype=torch.int32), torch.full((count,), rows, dtype=torch.int32)
    if ids is None or touches is None or value.numel() != len(ids) * width:
        raise ValueError(f"sent '{one.name}' of shape {tuple(value.shape)}, which is not one row for each id and count")
    return TableRows(ids, touches, value.reshape(len(ids), width))


def _numbers(content: RecordDict, record: str, name: str) -> Tensor | None:
    arrays = content.array_records.get(record)
    if arrays is None or name not in arrays:
        return None
    found = tensor_of(arrays, name)
    if found.dim() != 1 or found.is_floating_point():
        raise ValueError(f"sent {record} of '{name}' that are no list of whole numbers")
    return found.long().clamp(-1, MOST).int()


def fault_of(answer: Answer, offer: Offer, tasks: int) -> str | None:
    """Why the answer to an offer cannot be used, or None."""
    units = {part.label: tasks if part.per_task else 1 for part in offer.parts}
    for said in (answer.betas, answer.loss_own, answer.loss_mixed, answer.checked):
        if {label: len(one) for label, one in said.items()} != units:
            return "answers to something else than it was offered"
    if not all(0 <= beta <= 1 for betas in answer.betas.values() for beta in betas):
        return "takes a mixture outside 0 … 1"
    return None
