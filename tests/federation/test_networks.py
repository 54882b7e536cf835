"""Networks in the stack and on the wire: buffers, scenarios within a member, slices that belong to somebody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.networks import NETWORKS
from msmtrec.base.member import Member
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Policy, Role
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck, batch_rows
from msmtrec.federation.gather import gather, with_weighted
from msmtrec.federation.memory import Memory, Shipment, begin
from msmtrec.federation.messages import Order
from msmtrec.federation.packed import Job
from msmtrec.federation.scenario import scenario_steps
from msmtrec.federation.site import Site
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.methods import METHODS
from msmtrec.methods.base import Upload
from msmtrec.methods.fedavg import FedAvg
from msmtrec.methods.phases import Adam, Phase
from msmtrec.methods.settings.fedavg import FedAvgSettings
from msmtrec.models.base import Model, Pass
from msmtrec.models.predict import Stacked, Weights
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.star import STARSettings

CPU = torch.device("cpu")
STAR = STARSettings(embedding_dim=2, layers=(5, 4), tower_layers=(), auxiliary_layer=3)
PLE = PLESettings(embedding_dim=2, shared_experts=1, task_experts=2, expert_layers=(4, 3), tower_layers=(), dropout=0.3)
BUFFERS = {"norm.own.mean", "norm.own.variance"}


@pytest.fixture(scope="module")
def pooled() -> EncodedData:
    logs = Synthetic(scenarios=3, rows=(900, 400, 600), users=60, items=40).load()
    return encode_all(logs, {"pooled": Variant(share=False, pooled=True)})["pooled"]


def jobs(data: EncodedData, model: Model, deck: Deck, steps: list[int], batch: list[int]) -> list[Job]:
    shared = frozenset(n for n, role in model.roles().items() if role is Role.SHARED_EMBEDDING)
    found = []
    for seed in (0, 1):
        for n, name in enumerate(data.scenarios):
            parameters = model.initialise(seed, name, data.tables[name].private_rows, deck.dtype)
            memory = begin(parameters, deck.used[name], shared)
            found.append(Job(Member(seed, name), memory, memory, batch[n + seed], steps=steps[n + seed]))
    return found


def train(model: Model, work: list[Job], deck: Deck, **phase: Any) -> Mapping[Member, Trained]:
    return run_phase(model, Phase(**{"rule": Adam(3e-3), **phase}), work, deck)


def difference(a: Memory, b: Memory) -> float:
    return max(
        float((value - b.slots[slot][name]).abs().max()) if value.numel() else 0.0
        for slot, held in a.slots.items()
        for name, value in held.items()
    )


OTHERS = [one for name, one in NETWORKS.items() if name not in ("mmoe", "ple", "star")]


@pytest.mark.parametrize("settings", [PLE, STAR, *OTHERS], ids=lambda one: one.name)
@pytest.mark.parametrize("which", ["synthetic", "pooled"])
def test_a_stack_equals_separate_runs(which: str, settings: ModelSettings, request: Any) -> None:
    """Unequal batches (rows that are only filled up) and steps; a pooled member has all scenarios in a batch."""
    data = request.getfixturevalue(which)
    model, deck = settings.build(data.layout), Deck(data, torch.float64, CPU)
    work = jobs(data, model, deck, [11, 7, 9, 5], [64, 50, 37, 41])
    together = train(model, work, deck)
    for job in work:
        alone = train(model, [job], deck)[job.member]
        assert difference(together[job.member].memory, alone.memory) < 1e-10


@pytest.mark.parametrize("which", ["synthetic", "pooled"])
def test_a_phase_equals_a_plain_loop_with_torchs_optimiser(which: str, request: Any) -> None:
    data = request.getfixturevalue(which)
    model, deck = STAR.build(data.layout), Deck(data, torch.float64, CPU)
    job = jobs(data, model, deck, [6] * 4, [40] * 4)[0]
    name = job.member.scenario
    ours = train(model, [job], deck, rule=Adam(1e-2))[job.member].memory.whole("model", deck.used[name])
    state: Parameters = {n: p.clone() for n, p in job.memory.whole("model", deck.used[name]).items()}
    leaves = {d.name: state[d.name].requires_grad_() for d in model.declare() if d.trained}
    stepper = torch.optim.Adam(leaves.values(), lr=1e-2)
    table = data.tables[name].splits["train"]
    for chosen in batch_rows(job.member, "rounds", len(table), job.batch, 0, job.steps):
        stepper.zero_grad()
        part = table.take(chosen.numpy())
        stacked = Stacked(model, [Weights({**state, **leaves})])
        forward = Pass(stacked.batch([part]), training=True)
        logits = model.forward(stacked.parameters, forward)[0]
        target = torch.from_numpy(part.labels).double()
        torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(0).sum().backward()
        stepper.step()
        state |= {n: value[0] for n, value in forward.statistics.items()}
    for n, value in {**state, **leaves}.items():
        assert torch.allclose(ours[n], value.detach(), atol=1e-12), n


def test_buffers_get_no_optimiser_step(synthetic: EncodedData) -> None:
    """No moments, no decay, and a scenario moves nobody's slice but its own."""
    model, deck = STAR.build(synthetic.layout), Deck(synthetic, torch.float64, CPU)
    work = jobs(synthetic, model, deck, [3] * 4, [40] * 4)
    for rule in (Adam(1e-2), Adam(1e-2, decay=0.5)):
        found = train(model, work, deck, rule=rule)
        for number, name in enumerate(synthetic.scenarios):
            memory = found[Member(0, name)].memory
            for kind in ("model.m", "model.v"):
                assert not BUFFERS & memory.slots[kind].keys()
            for n in BUFFERS:
                start = torch.zeros(3) if n.endswith("mean") else torch.ones(3)
                moved = (memory.model[n] != start.unsqueeze(1).double()).any(1)
                assert moved.tolist() == [number == d for d in range(3)], n
    frozen = train(model, work, deck, roles=frozenset({Role.NORM_STATISTICS, Role.TOWER}))[Member(0, "scenario-0")]
    before = work[0].memory.model
    moved = {n for n, value in frozen.memory.model.items() if not torch.equal(value, before[n])}
    assert moved == BUFFERS | {"tower.0.weight", "tower.0.bias"}


def site(data: EncodedData, **options: Any) -> Site:
    model = STAR.build(data.layout)
    method = METHODS["fedavg"].settings(**options).build(model.declare())
    deck = Deck(data, torch.float64, CPU)
    batches, steps = dict.fromkeys(data.scenarios, 32), dict.fromkeys(data.scenarios, 3)
    return Site(data, deck, model, method, batches=batches, steps=steps, rate=1e-2)


def start(where: Site) -> dict[Member, Memory]:
    ship = Shipment(where.deck.device)
    return {
        Member(0, n): where.begin(Member(0, n), where.model.initialise(0, n, table.private_rows, torch.float64), ship)
        for n, table in where.data.tables.items()
    }


def test_evaluation_changes_no_buffer_and_training_changes_them(synthetic: EncodedData) -> None:
    where = site(synthetic)
    before = start(where)
    measured, _ = scenario_steps(where, dict.fromkeys(before, Order(1, measure=1)), before)
    trained, reports = scenario_steps(where, dict.fromkeys(before, Order(1, train="rounds")), before)
    for member, memory in before.items():
        for n in BUFFERS:
            assert torch.equal(measured[member].model[n], memory.model[n])
            assert not torch.equal(trained[member].model[n], memory.model[n])
            upload = reports[member].upload
            assert upload is not None
            assert torch.equal(upload.slots["model"][n], trained[member].model[n])


class KeepsNorms(FedAvg):
    """FedBN's table of roles."""

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        kept = (Role.NORM_AFFINE, Role.NORM_STATISTICS)
        return {key: policy for key, policy in super().policies().items() if key[1] not in kept}


def test_statistics_travel_by_role(synthetic: EncodedData) -> None:
    """Selected by what is declared, never by a name: FedAvg takes them all, FedBN's table none, pf-msmtrec none."""
    declared = STAR.build(synthetic.layout).declare()
    norms = {d.name for d in declared if d.role in (Role.NORM_AFFINE, Role.NORM_STATISTICS)}
    assert len(norms) == 6
    everything = {d.name for d in declared if d.role not in (Role.EMBEDDING, Role.SHARED_EMBEDDING)}
    assert {d.name for d in FedAvg(declared, FedAvgSettings()).leaving()} == everything
    assert {d.name for d in KeepsNorms(declared, FedAvgSettings()).leaving()} == everything - norms
    assert not norms & {d.name for d in METHODS["pf-msmtrec"].settings().build(declared).leaving()}


def test_a_mean_takes_an_owned_slice_from_its_owner() -> None:
    d = Declaration("own", Role.EXPERT_LOCAL, (3, 2), "ones", owners=("a", "b", "c"))
    last = torch.ones(3, 2)

    def upload(scenario: str, rows: int, value: Tensor) -> Upload:
        return Upload(scenario, rows, (True,), {"model": {"own": value}})

    sent = [
        upload("b", 1, torch.tensor([[1.0, 1.0], [5.0, 6.0], [1.0, 1.0]])),
        upload("a", 9, torch.tensor([[3.0, 4.0], [1.0, 1.0], [1.0, 1.0]])),
    ]
    for policy in (Policy.AVERAGE, Policy.AVERAGE_ALIKE):
        found = with_weighted(with_weighted(None, d, "model", policy, sent[0]), d, "model", policy, sent[1])
        mean = found.mean(last)
        assert mean.tolist() == [[3, 4], [5, 6], [1, 1]]  # c sent nothing: its slice stays
    everybody = replace(d, owners=())
    first = with_weighted(None, everybody, "model", Policy.AVERAGE, sent[0])
    plain = with_weighted(first, everybody, "model", Policy.AVERAGE, sent[1]).mean(last)
    assert plain[1].tolist() == pytest.approx([1.4, 1.5])


def test_statistics_are_no_part_of_an_updates_length(synthetic: EncodedData) -> None:
    """Else the variance of one scenario's inputs would decide how much of its weights is cut off."""
    where = site(synthetic, clip=0.01)
    before = start(where)
    after, reports = scenario_steps(where, dict.fromkeys(before, Order(1, train="rounds")), before)
    member = Member(0, "scenario-0")
    upload = reports[member].upload
    assert upload is not None
    trained = [d.name for d in where.method.leaving() if d.trained]
    moved = sum(float((after[member].model[n] - before[member].model[n]).square().sum()) for n in trained)
    assert upload.norm == pytest.approx(moved**0.5, rel=1e-9)
    uploads = {m.scenario: r.upload for m, r in reports.items() if r.upload is not None}
    common = {n: before[member].model[n] for n in (d.name for d in where.method.leaving())}
    state = where.method.init(common, dict.fromkeys(uploads, 1))
    means = where.method.aggregate(state, gather(where.method, state, uploads, {})).state.parameters
    for n in BUFFERS:
        assert torch.equal(means[n][0], after[member].model[n][0])
    cut = (means["star.0.own.weight"][0] - 1).norm() / (after[member].model["star.0.own.weight"][0] - 1).norm()
    assert float(cut) < 0.02
