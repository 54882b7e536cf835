"""Task balancing under every method: it changes what is served, and its state stays in the scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from aggregation.balance.steps import rule_of
from methods.federation import Case, Federation
from msmtrec.aggregation.balance.base import Rule, Seen, State
from msmtrec.base.member import Member
from msmtrec.federation.balance import STATE
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods import METHODS
from msmtrec.methods.phases import LocalRound
from msmtrec.runtime.in_process import InProcess
from pretend_device import DEVICE, pretend_device

ALONE = [name for name, entry in METHODS.items() if not (entry.pooled or entry.alone)]
SLOTS = {"ditto": ["model", "personal"], "feddwa": ["model", "guide"]}
"""What is trained, where it is more than the model."""


def balanced(case: Case, rule: str | None, rounds: int = 2, stack: str = "all", device: str = "cpu") -> Federation:
    found = Federation(case, rounds, device=device)
    balance = None if rule is None else rule_of(rule)
    found.site = replace(found.site, balance=balance, stack=stack)  # type: ignore[arg-type]
    found.runtime = InProcess(found.site, found.runtime.memories)
    return found


@pytest.mark.parametrize("name", ALONE)
def test_every_method_trains_balanced_and_sends_no_state(name: str) -> None:
    found, reports = balanced(Case(name), "gradnorm"), list[Report]()

    def listen(orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        answered = dict(found.runtime(orders))
        reports.extend(answered.values())
        return answered.items()

    served, plain = found.run(listen).served(), balanced(Case(name), None).run().served()
    for scenario, value in served.items():
        assert bool(value.isfinite().all())
        assert not torch.allclose(value, plain[scenario], atol=1e-6)
    uploads = [report.upload for report in reports if report.upload is not None]
    assert not any(STATE in slot for upload in uploads for slot in upload.slots)
    for memory in found.runtime.memories.values():
        held = [slot.removesuffix(f".{STATE}") for slot in memory.slots if slot.endswith(f".{STATE}")]
        assert held == SLOTS.get(name, ["model"])
        assert all(memory.slots[f"{slot}.{STATE}"]["first"].min() > 0 for slot in held)


@pytest.mark.parametrize("name", ["ditto", "fedrep", "apple", "scaffold", "pf-msmtrec"])
def test_one_by_one_is_as_all_together(name: str) -> None:
    one, two = (balanced(Case(name), "pcgrad", stack=stack).run().served() for stack in ("all", "off"))
    for scenario, value in one.items():
        assert torch.allclose(value, two[scenario], atol=1e-2 if name == "ditto" else 1e-9), scenario


class OneTask(Rule):
    """Of each member the first task alone, towers and all."""

    weighs_losses, reads_gradients = True, False

    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        return torch.tensor([1.0, 0.0], dtype=torch.float64).expand_as(seen.losses), state


def test_fedalas_mixing_weights_learn_by_the_plain_sum() -> None:
    found = balanced(Case("fedala"), None, rounds=1).run()
    member, memory = next(iter(found.runtime.memories.items()))
    (phase,) = found.method.adapt(LocalRound(2, 0.01))
    apart = {name: value + 0.3 for name, value in memory.slots["global"].items()}
    memory = memory.put({"global": apart})  # else there is nothing to mix
    job = Job(member, memory, memory, 32, steps=1)
    one, two = (
        run_phase(found.site.model, phase, [job], found.site.deck, balance=rule)[member].memory.slots
        for rule in (None, OneTask())
    )
    assert not all(torch.equal(value, memory.slots["mixing"][name]) for name, value in one["mixing"].items())
    assert all(torch.equal(value, two["mixing"][name]) for name, value in one["mixing"].items())


@pytest.mark.parametrize("rule", ["gradnorm", "uncertainty", "pcgrad", "cagrad", "nash-mtl"])
def test_on_a_device_it_is_what_it_is_on_the_cpu(rule: str) -> None:
    found = {}
    for device, place in (("cpu", nullcontext()), (DEVICE.type, pretend_device())):
        with place:
            federation = balanced(Case("fedavg-all"), rule, device=device).run()
            found[device] = {name: value.cpu() for name, value in federation.served().items()}
    for name, value in found["cpu"].items():
        assert torch.equal(value, found[DEVICE.type][name]), name
