"""Local fine-tuning after the last round: every scenario by itself, stopped early on its own validation rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import torch

from msmtrec.base.member import Member
from msmtrec.evaluation.metrics import Measure
from msmtrec.federation.checkpoint import Best
from msmtrec.federation.member import ClientState
from msmtrec.federation.rounds import Journal
from msmtrec.federation.stack import Job, Optimiser


class FineTunable(Protocol):
    """What fine-tuning needs of a runtime."""

    states: dict[Member, ClientState]
    best: dict[Member, Best]
    batches: Mapping[str, int]
    steps: Mapping[str, int]

    def run(self, jobs: list[Job], optimiser: Optimiser) -> dict[Member, torch.Tensor]: ...

    def measure(self, member: Member, state: ClientState, split: str) -> list[Measure]: ...

    def keep_best(self, member: Member, round_number: int, found: list[Measure]) -> None: ...


@dataclass(frozen=True)
class FineTuning:
    """At most `rounds` times the local steps; a scenario stops after `patience` without a better validation AUC."""

    rounds: int
    patience: int
    optimiser: Optimiser


def fine_tune(
    clients: FineTunable,
    members: list[Member],
    fine_tuning: FineTuning,
    last_round: int,
    journal: Journal,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Start from every scenario's best round with fresh moments; the best so far stays if nothing beats it."""
    for member in members:
        clients.states[member] = replace(
            ClientState.fresh({n: p.clone() for n, p in clients.best[member].parameters.items()}),
            betas=clients.states[member].betas,
        )
    active = list(members)
    for number in range(last_round + 1, last_round + fine_tuning.rounds + 1):
        if active:
            began = perf_counter()
            jobs = [
                Job(m, clients.states[m], clients.batches[m.scenario], clients.steps[m.scenario], "fine-tune")
                for m in active
            ]
            clients.run(jobs, fine_tuning.optimiser)
            found = {m: clients.measure(m, clients.states[m], "validation") for m in active}
            for member in active:
                clients.keep_best(member, number, found[member])
            journal.metrics(number, "fine-tune", "validation", found)
            seconds = {"fine-tune": round(perf_counter() - began, 6)}
            nothing: dict[str, int] = {}
            journal.round(
                {
                    "round": number,
                    "bytes_up": nothing,
                    "bytes_down": nothing,
                    "seconds": seconds,
                    "took_part": {},
                    "diagnostics": {},
                }
            )
            active = [m for m in active if number - max(clients.best[m].round, last_round) < fine_tuning.patience]
        progress(number)
