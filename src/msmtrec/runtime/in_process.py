"""All scenarios on this machine: members are trained in stacks, everything else one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from msmtrec.base.member import Member
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import Measure, mean_auc, measure
from msmtrec.federation.checkpoint import Best
from msmtrec.federation.client import answer_offer, held_out_rows, load_reply, make_upload
from msmtrec.federation.deck import Deck
from msmtrec.federation.member import ClientState
from msmtrec.federation.stack import Job, Optimiser, train_stack
from msmtrec.methods.base import Answer, Method, Offer, Reply, Upload
from msmtrec.models.base import Model
from msmtrec.models.predict import predict

STACK_RATIO = 2.0
"""Members share a stack when their batches differ by less than this factor: little is computed for nothing."""


@dataclass
class InProcess:
    """Implements `rounds.Clients`.

    Args:
        batches, steps: scenario -> batch rows, and steps a round.
        stack: `auto` by similar batch sizes; `off` one by one; `all` in one stack.
        held_out_limit: rows on which mixtures are measured; None takes all validation rows.
    """

    data: EncodedData
    model: Model
    method: Method
    optimiser: Optimiser
    states: dict[Member, ClientState]
    batches: Mapping[str, int]
    steps: Mapping[str, int]
    stack: Literal["auto", "off", "all"] = "auto"
    held_out_limit: int | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    best: dict[Member, Best] = field(default_factory=dict)
    rounds_done: int = 0
    before: dict[Member, ClientState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dtype = next(iter(next(iter(self.states.values())).parameters.values())).dtype
        self.deck = Deck(self.data, dtype, self.device, decay=self.optimiser.weight_decay > 0)

    def train(self, members: list[Member]) -> dict[Member, Upload]:
        """Local steps of the members, stack by stack."""
        self.before = {m: self.states[m] for m in members}
        jobs = [Job(m, self.states[m], self.batches[m.scenario], self.steps[m.scenario]) for m in members]
        used = self.run(jobs, self.optimiser)
        return {
            m: make_upload(
                self.method,
                m.scenario,
                self.states[m],
                self.data.tables[m.scenario].splits["train"],
                used[m],
                self.data.schema.has_task(m.scenario),
                self.model,
            )
            for m in members
        }

    def restore(self, members: list[Member]) -> None:
        """Back to the parameters and moments before this round's steps; the next round takes the rows after them."""
        for member in members:
            self.states[member] = replace(self.before[member], step=self.states[member].step)

    def run(self, jobs: list[Job], optimiser: Optimiser) -> dict[Member, torch.Tensor]:
        """Train jobs, store the new states, return the rows used."""
        used: dict[Member, torch.Tensor] = {}
        for stack in stacks(jobs, self.stack):
            states, rows = train_stack(self.model, stack, self.deck, optimiser)
            self.states |= states
            used |= rows
        return used

    def answer(self, offers: Mapping[Member, Offer]) -> dict[Member, Answer]:
        """Held-out measurements, scenario by scenario."""
        answers = {}
        for member, offer in offers.items():
            rows = held_out_rows(self.data.tables[member.scenario].splits["validation"], self.held_out_limit)
            tasks = self.data.schema.has_task(member.scenario)
            self.states[member], answers[member] = answer_offer(self.model, self.states[member], offer, rows, tasks)
        return answers

    def load(self, replies: Mapping[Member, Reply]) -> None:
        for member, reply in replies.items():
            self.states[member] = load_reply(self.states[member], reply)

    def evaluate(self, members: list[Member], stage: str) -> dict[Member, list[Measure]]:
        """Validation metrics; after aggregation every scenario keeps its best round."""
        found = {}
        if stage == "after":
            self.rounds_done += 1
        for member in members:
            found[member] = self.measure(member, self.states[member], "validation")
            if stage == "after":
                self.keep_best(member, self.rounds_done, found[member])
        return found

    def best_rounds(self, seed: int) -> list[int]:
        return [best.round for member, best in self.best.items() if member.seed == seed]

    def keep_best(self, member: Member, round_number: int, found: list[Measure]) -> None:
        """Remember the parameters when the mean validation AUC rises (pooled: one model per part)."""
        for scenario in self.data.tables[member.scenario].parts["validation"]:
            key = Member(member.seed, scenario)
            score = mean_auc([m for m in found if m.scenario == scenario])
            held = self.best[key].score if key in self.best else math.nan
            if key not in self.best or score > held or (math.isnan(held) and not math.isnan(score)):
                self.best[key] = Best(
                    round_number, score, {n: p.clone() for n, p in self.states[member].parameters.items()}
                )

    def measure(self, member: Member, state: ClientState, split: str) -> list[Measure]:
        """Metrics of a member on one split; of each of its parts, where its table is pooled."""
        table = self.data.tables[member.scenario]
        rows = table.splits[split]
        logits = predict(self.model, state.parameters, rows).double().numpy()
        tasks, present = self.data.schema.task_names, self.data.schema.has_task(member.scenario)
        found = []
        for scenario, part in table.parts[split].items():
            found += measure(scenario, tasks, present, logits[part], rows.labels[part])
        return found


def stacks(jobs: list[Job], layout: str) -> list[list[Job]]:
    """Which members train together."""
    if layout == "off":
        return [[job] for job in jobs]
    if layout == "all":
        return [jobs] if jobs else []
    groups: list[list[Job]] = []
    for job in sorted(jobs, key=lambda job: -job.batch):
        if groups and groups[-1][0].batch < STACK_RATIO * job.batch:
            groups[-1].append(job)
        else:
            groups.append([job])
    return groups
