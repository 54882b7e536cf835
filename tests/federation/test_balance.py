"""Task balancing in local training: what is shared, stacks, tasks that are absent, state, phases that keep the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aggregation.balance.steps import rule_of
from aggregation.balance.test_pcgrad import by_loop
from federation.test_networks import PLE, STAR
from federation.test_networks import jobs as uneven
from federation.test_stack import CPU, SMALL, difference, even, jobs
from msmtrec.aggregation.balance import RULES
from msmtrec.aggregation.balance.base import Rule, Seen, State
from msmtrec.base.member import Member
from msmtrec.base.roles import Role
from msmtrec.data.table import EncodedData
from msmtrec.federation.balance import STATE, Balancing, Leaf
from msmtrec.federation.deck import Deck, batch_rows
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.methods.phases import SGD, Adam, Phase
from msmtrec.models.base import Model, Pass
from msmtrec.models.predict import Stacked, Weights
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.mmoe import MMoESettings

MMOE = MMoESettings(template=True, embedding_dim=3, experts=2, expert_layers=(5,), tower_layers=(4,))
NORMED = MMoESettings(expert_layers=(6,), experts=2, tower_layers=(4,), dropout=0.3, tower_dropout=0.2, norm="batch")
NETWORKS: dict[str, ModelSettings] = {"template": MMOE, "norm": NORMED, "ple": PLE, "star": STAR}
every = pytest.mark.parametrize("name", RULES)


class Even(Rule):
    """Weight 1 for every task, by way of its gradient."""

    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        return torch.ones_like(seen.losses), state


def train(model: Model, work: list[Job], deck: Deck, balance: Rule | None, **phase: Any) -> Mapping[Member, Trained]:
    return run_phase(model, Phase(**{"rule": Adam(1e-2), **phase}), work, deck, balance=balance)


def apart(one: Mapping[Member, Trained], other: Mapping[Member, Trained]) -> float:
    """The largest difference between models, member by member."""
    return max(
        float((value - other[m].memory.model[n]).abs().max())
        for m, trained in one.items()
        for n, value in trained.memory.model.items()
        if value.numel()
    )


def with_labels(data: EncodedData, labels: np.ndarray, tasks: int = 2) -> tuple[EncodedData, Deck]:
    split = data.whole["train"]
    found = replace(data, whole={"train": replace(split, labels=labels.astype(split.labels.dtype))})
    if tasks > 2:
        names = tuple(f"task-{n}" for n in range(tasks))
        found = replace(found, layout=replace(found.layout, tasks=names))
    return found, Deck(found, torch.float64, CPU)


def three_tasks(data: EncodedData) -> tuple[EncodedData, Deck]:
    """The third is the opposite of the first, so that gradients point against each other."""
    labels = np.array(data.whole["train"].labels)
    return with_labels(data, np.column_stack([labels, 1 - labels[:, 0]]), tasks=3)


# the sum of the tasks' gradients is the gradient of their sum


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_even_weights_are_the_plain_sum(synthetic: EncodedData, deck: Deck, network: str, lazy: bool) -> None:
    model = NETWORKS[network].build(synthetic.layout)
    work = uneven(synthetic, model, deck, [6, 3, 5, 4], [64, 50, 37, 40])
    rule = Adam(1e-2, decay=0.01, lazy=lazy)
    one, other = (train(model, work, deck, balance, rule=rule) for balance in (None, Even()))
    assert apart(one, other) < 1e-11
    assert all(difference(one[m].memory, other[m].memory) < 1e-11 for m in one)


def test_what_a_method_adds_to_the_loss_is_of_no_task(synthetic: EncodedData, deck: Deck) -> None:
    model = MMOE.build(synthetic.layout)
    work = even(synthetic, model, deck, 3)

    def extra(leaves: Any, work: Any) -> Tensor:
        found: Tensor = leaves["model"]["expert.0.weight.local"].square().flatten(1).sum(1)
        return found

    one, other = (train(model, work, deck, balance, extra=extra) for balance in (None, Even()))
    assert apart(one, other) < 1e-11
    # with a rule that takes all from the tasks, what is added is all that moves what they share

    class Nothing(Rule):
        def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
            return torch.zeros_like(seen.losses), state

    after = train(model, work[:1], deck, Nothing(), rule=SGD(0.1), extra=extra, steps=1)[work[0].member].memory
    before, roles = work[0].memory.model, model.roles()
    moved = {n for n, value in after.model.items() if not torch.equal(value, before[n])}
    assert moved == {"expert.0.weight.local"} | {
        n for n, role in roles.items() if role in (Role.TOWER, Role.GATE) or n == "expert.0.weight.task"
    }
    wanted = before["expert.0.weight.local"] * (1 - 0.1 * 2)
    assert torch.allclose(after.model["expert.0.weight.local"], wanted)


# one step, by plain autograd


def task_gradients(data: EncodedData, model: Model, job: Job, deck: Deck) -> list[dict[str, Tensor]]:
    """Each task's gradient of everything, tables whole, on the first batch."""
    name = job.member.scenario
    leaves = {n: p.clone().requires_grad_() for n, p in job.memory.whole("model", deck.used[name]).items()}
    (rows,) = batch_rows(job.member, "rounds", len(data.tables[name].splits["train"]), job.batch, 0, 1)
    part = data.tables[name].splits["train"].take(rows.numpy())
    stacked = Stacked(model, [Weights(leaves)])
    logits = model.forward(stacked.parameters, Pass(stacked.batch([part])))[0]
    target = torch.from_numpy(part.labels).double()
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(0)
    found = []
    for loss in losses:
        own = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, allow_unused=True)
        found.append({n: torch.zeros_like(leaves[n]) if g is None else g for n, g in zip(leaves, own, strict=True)})
    return found


OWN = {
    "template": ("gate", "expert.0.weight.task", "expert.0.bias.task", "tower."),
    "ple": ("level.0.gate", "level.1.task", "level.1.gate", "tower."),  # level.0.task reaches all by the shared gate
}


@pytest.mark.parametrize("network", OWN)
def test_a_step_of_pcgrad_by_plain_autograd(synthetic: EncodedData, deck: Deck, network: str) -> None:
    """Projected in what is shared, tables among it; the plain sum in what is a task's own. SGD shows the gradient."""
    settings = NETWORKS[network].model_copy(update={"dropout": 0.0, "tower_layers": ()})
    model = settings.build(synthetic.layout)
    job = uneven(synthetic, model, deck, [1] * 4, [40] * 4)[0]
    one = job.memory.model["tower.0.weight"][0]
    towers = {"tower.0.weight": torch.stack([one, -one]), "tower.0.bias": torch.full((2, 1), 3.0, dtype=torch.float64)}
    memory = job.memory.put({"model": towers})
    job = replace(job, memory=memory, received=memory)
    gradients = task_gradients(synthetic, model, job, deck)
    shared = [n for n in gradients[0] if not n.startswith(OWN[network])]
    vectors = torch.stack([torch.cat([own[n].flatten() for n in shared]) for own in gradients])
    assert float(vectors[0] @ vectors[1]) < 0  # all logits are too high, and what lowers one task's raises the other's
    both = by_loop(vectors, torch.tensor([[1], [0]])).split([gradients[0][n].numel() for n in shared])
    wanted = {n: sum(own[n] for own in gradients) for n in gradients[0]}
    wanted |= {n: value.view_as(gradients[0][n]) for n, value in zip(shared, both, strict=True)}
    after = train(model, [job], deck, rule_of("pcgrad"), rule=SGD(1.0))[job.member].memory
    used = deck.used[job.member.scenario]
    before, found = (m.whole("model", used) for m in (job.memory, after))
    for n, gradient in wanted.items():
        assert torch.allclose(before[n] - found[n], torch.as_tensor(gradient), atol=1e-12), n


# members and their neighbours


@every
@pytest.mark.parametrize("lazy", [False, True])
def test_a_stack_equals_separate_runs(synthetic: EncodedData, name: str, lazy: bool) -> None:
    """Whoever is beside a member, in whatever order; three tasks, so that PCGrad draws."""
    data, deck = three_tasks(synthetic)
    model = SMALL.build(data.layout)
    steps = dict(zip(data.scenarios, (12, 7, 9), strict=True))
    batch = dict(zip(data.scenarios, (64, 50, 37), strict=True))
    work, rule = jobs(data, model, deck, steps, batch, seeds=(0, 1)), Adam(3e-3, lazy=lazy)
    together = train(model, work, deck, rule_of(name), rule=rule)
    backwards = train(model, work[::-1], deck, rule_of(name), rule=rule)
    for job in work:
        alone = train(model, [job], deck, rule_of(name), rule=rule)[job.member].memory
        assert difference(together[job.member].memory, alone) < 1e-10
        assert difference(backwards[job.member].memory, alone) < 1e-10
    assert apart(together, train(model, work, deck, None, rule=rule)) > 1e-4


def test_pcgrads_orders_come_from_seed_scenario_phase_and_step() -> None:
    members = [Member(seed, scenario) for seed in (0, 1) for scenario in ("a", "b")]

    def orders(those: list[Member], clocks: list[int], phase: str = "rounds") -> Tensor:
        return Balancing(rule_of("pcgrad"), those, phase, (), state={})._orders(6, clocks)

    found = orders(members, [3, 3, 3, 4])
    assert found.shape == (4, 6, 5)
    for t in range(6):
        assert all(sorted(row.tolist()) == [s for s in range(6) if s != t] for row in found[:, t])
    assert torch.equal(orders(members[::-1], [4, 3, 3, 3]), found.flip(0))
    others = [orders(members[:1], [4]), orders(members[:1], [3], "head"), *(found[[k]] for k in range(1, 4))]
    assert not any(torch.equal(found[[0]], other) for other in others)


# tasks that are absent


def some_absent(data: EncodedData) -> tuple[EncodedData, Deck]:
    """The second scenario has no second task; of the first's, one row in 64 is labelled: many batches have none."""
    labels = np.array(data.whole["train"].labels)
    first, second = (len(data.tables[name].splits["train"]) for name in data.scenarios[:2])
    labels[first : first + second, 1] = np.nan
    labels[:first, 1] = np.where(np.arange(first) % 64 == 0, labels[:first, 1], np.nan)
    return with_labels(data, labels)


@every
def test_a_task_that_a_scenario_lacks_does_not_count(synthetic: EncodedData, name: str) -> None:
    data, deck = some_absent(synthetic)
    model = MMOE.build(data.layout)
    work = even(data, model, deck, 8, 16)
    plain, found = (train(model, work, deck, rule) for rule in (None, rule_of(name)))
    member = work[1].member
    assert apart({member: plain[member]}, {member: found[member]}) < 1e-10
    for trained in found.values():
        assert all(bool(value.isfinite().all()) for held in trained.memory.slots.values() for value in held.values())
    state = found[member].memory.slots.get(f"model.{STATE}", {})
    assert all(float(value[1]) == 0 for value in state.values())


@every
def test_a_member_that_diverges_does_so_alone(synthetic: EncodedData, deck: Deck, name: str) -> None:
    """NaN goes where it goes without a rule, and is refused where it is uploaded; its neighbours train on."""
    model = MMOE.build(synthetic.layout)
    work = even(synthetic, model, deck, 3)
    broken = {n: value * torch.nan if n == "gate" else value for n, value in work[0].memory.model.items()}
    ill = replace(work[0], memory=work[0].memory.put({"model": broken}))
    found = train(model, [ill, *work[1:]], deck, rule_of(name))
    healthy = train(model, work[1:], deck, rule_of(name))
    assert bool(found[ill.member].memory.model["tower.0.weight"].isnan().any())
    assert all(difference(found[job.member].memory, healthy[job.member].memory) < 1e-10 for job in work[1:])


@every
def test_products_that_overflow_are_the_plain_sum(name: str) -> None:
    rule, leaf = rule_of(name), torch.full((1, 1), 1e-200, dtype=torch.float64, requires_grad=True)
    losses = torch.cat([leaf * 1e200, 2 - leaf * 1e200], 1)
    state = {key: value.repeat(1, 1) for key, value in rule.begin(2).items()}
    balancing = Balancing(rule, [Member(0, "a")], "rounds", [Leaf(torch.zeros(1, dtype=torch.int64))], state=state)
    (found,) = balancing(losses, losses.new_zeros(1), [leaf], [], [0])
    assert found.tolist() == [[0]]


# state


@pytest.mark.parametrize("name", ["uncertainty", "gradnorm"])
def test_state_stands_beside_the_moments_and_goes_on(synthetic: EncodedData, deck: Deck, name: str) -> None:
    model = MMOE.build(synthetic.layout)
    work = even(synthetic, model, deck, 6)
    at_once = train(model, work, deck, rule_of(name))
    first = train(model, [replace(job, steps=2) for job in work], deck, rule_of(name))
    rest = [replace(job, memory=first[job.member].memory, steps=4) for job in work]
    for member, trained in train(model, rest, deck, rule_of(name)).items():
        assert difference(trained.memory, at_once[member].memory) < 1e-12
        held = trained.memory.slots[f"model.{STATE}"]
        assert all(value.shape == (2,) and bool(value.any()) for value in held.values())


def test_a_phase_that_starts_from_another_slot_has_fresh_state(synthetic: EncodedData, deck: Deck) -> None:
    model = MMOE.build(synthetic.layout)
    work, rule = even(synthetic, model, deck, 1)[:1], rule_of("uncertainty")
    ends = []
    for _ in range(3):
        (trained,) = train(model, work, deck, rule, slot="other", start="model").values()
        work = [replace(work[0], memory=trained.memory)]
        ends.append(float(trained.memory.slots[f"other.{STATE}"]["s"].abs().max()))
    assert max(ends) < 1.5 * ends[0]  # one step, not three


# phases that keep the sum


@every
def test_a_phase_may_keep_the_plain_sum(synthetic: EncodedData, deck: Deck, name: str) -> None:
    """What says so, what has a rule of its own, and networks with one task: the same bits, and no state."""
    model = MMOE.build(synthetic.layout)
    work = even(synthetic, model, deck, 3)

    def own(losses: Tensor, leaves: list[Tensor]) -> list[Tensor]:
        return list(torch.autograd.grad(losses.sum(), leaves))

    for phase in ({"balanced": False}, {"gradient": own}):
        plain, found = (train(model, work, deck, rule, **phase) for rule in (None, rule_of(name)))
        assert all(difference(plain[m].memory, found[m].memory) == 0 for m in plain)


def test_one_task_is_never_balanced(synthetic: EncodedData) -> None:
    split = synthetic.whole["train"]
    data = replace(
        synthetic,
        whole={"train": replace(split, labels=split.labels[:, :1].copy())},
        layout=replace(synthetic.layout, tasks=synthetic.layout.tasks[:1]),
    )
    deck, model = Deck(data, torch.float64, CPU), MMOE.build(data.layout)
    work = even(data, model, deck, 3)
    plain, found = (train(model, work, deck, rule) for rule in (None, rule_of("gradnorm")))
    assert all(difference(plain[m].memory, found[m].memory) == 0 for m in plain)


def test_steps_that_train_towers_alone_have_nothing_to_share(synthetic: EncodedData, deck: Deck) -> None:
    """As FedRep's head."""
    model = MMOE.build(synthetic.layout)
    work = even(synthetic, model, deck, 3)
    roles = frozenset({Role.TOWER, Role.GATE})
    for name in ("pcgrad", "cagrad", "mgda", "nash-mtl", "gradnorm"):
        plain, found = (train(model, work, deck, rule, roles=roles) for rule in (None, rule_of(name)))
        assert apart(plain, found) < 1e-12
