from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.encoding.test_encoder import own_logs
from msmtrec.base.member import Member
from msmtrec.base.roles import OF_COMMON_IDS, Role
from msmtrec.data.encode import encode
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck, batch_rows
from msmtrec.federation.memory import Memory, begin
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import Trained, run_phase
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.methods.phases import SGD, Adam, Phase
from msmtrec.models.base import Pass
from msmtrec.models.mmoe import MMoE
from msmtrec.models.predict import Stacked, Weights
from msmtrec.models.settings.mmoe import MMoESettings

CPU = torch.device("cpu")
SMALL = MMoESettings(template=True, embedding_dim=2, experts=2, expert_layers=(3,), tower_layers=())
RESIDUAL = SMALL.model_copy(update={"residual_embeddings": 0.3})
Leaves = dict[str, torch.Tensor]


def jobs(
    data: EncodedData, model: MMoE, deck: Deck, steps: dict[str, int], batch: dict[str, int], seeds: Any = (0,)
) -> list[Job]:
    found = []
    for seed in seeds:
        for name in data.scenarios:
            parameters = model.initialise(seed, name, data.tables[name].private_rows, deck.dtype)
            shared = frozenset(n for n, role in model.roles().items() if role in OF_COMMON_IDS)
            memory = begin(parameters, deck.used[name], shared)
            found.append(Job(Member(seed, name), memory, memory, batch[name], steps=steps[name]))
    return found


def even(data: EncodedData, model: MMoE, deck: Deck, steps: int, batch: int = 64) -> list[Job]:
    """Every scenario takes as many steps of as many rows."""
    return jobs(data, model, deck, dict.fromkeys(data.scenarios, steps), dict.fromkeys(data.scenarios, batch))


def train(model: MMoE, work: list[Job], deck: Deck, rate: float, **phase: Any) -> Mapping[Member, Trained]:
    return run_phase(model, Phase(**{"rule": Adam(rate), **phase}), work, deck)


def difference(a: Memory, b: Memory) -> float:
    assert a.slots.keys() == b.slots.keys()
    return max(
        float((value - b.slots[slot][name]).abs().max()) if value.numel() else 0.0
        for slot, held in a.slots.items()
        for name, value in held.items()
    )


@pytest.mark.parametrize(
    "settings",
    [
        MMoESettings(template=True),
        MMoESettings(template=True, residual_embeddings=0.3),
        MMoESettings(template=False, dropout=0.3),
        MMoESettings(template=True, dropout=0.3, tower_dropout=0.2, norm="batch"),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_a_stack_equals_separate_runs(
    synthetic: EncodedData, settings: MMoESettings, dtype: torch.dtype, tolerance: float
) -> None:
    """In float32 for these few steps: rounding grows with every one of them (docs/method.md)."""
    model = settings.build(synthetic.layout)
    steps = dict(zip(synthetic.scenarios, (25, 7, 13), strict=True))
    batch = dict(zip(synthetic.scenarios, (64, 50, 37), strict=True))
    deck = Deck(synthetic, dtype, CPU)
    work = jobs(synthetic, model, deck, steps, batch, seeds=(0, 1))
    together = train(model, work, deck, 3e-3)
    for job in work:
        alone = train(model, [job], deck, 3e-3)[job.member]
        assert difference(together[job.member].memory, alone.memory) < tolerance
        assert torch.equal(together[job.member].rows, alone.rows)


@pytest.mark.parametrize("settings", [SMALL, RESIDUAL], ids=["plain", "residual"])
def test_fields_of_every_kind_equal_separate_runs(tmp_path: Path, settings: MMoESettings) -> None:
    data = encode(own_logs(tmp_path), share=True)
    assert any(field.shares is not None for field in data.layout.fields)
    model, deck = settings.build(data.layout), Deck(data, torch.float64, CPU)
    work = even(data, model, deck, steps=4, batch=16)
    together = train(model, work, deck, 3e-3)
    for job in work:
        assert difference(together[job.member].memory, train(model, [job], deck, 3e-3)[job.member].memory) < 1e-10


def test_very_unequal_scenarios_equal_separate_runs() -> None:
    """KuaiRand's smallest tab beside its largest: 6,909 and 173,008 rows."""
    logs = Synthetic(scenarios=2, rows=(6909, 173_008), users=50, items=50).load()
    data = encode(logs, share=False)
    model = MMoESettings(template=True, expert_layers=(8,), experts=2, tower_layers=()).build(data.layout)
    rows = {n: len(t.splits["train"]) for n, t in data.tables.items()}
    batch = {"scenario-0": 96, "scenario-1": 2048}
    deck = Deck(data, torch.float64, CPU)
    work = jobs(data, model, deck, {n: -(-rows[n] // batch[n]) for n in rows}, batch)  # one epoch each
    together = train(model, work, deck, 1e-3)
    for job in work:
        every = list(range(rows[job.member.scenario]))
        assert sorted(together[job.member].rows.tolist()) == every  # every row once, none cut, none twice
        alone = train(model, [job], deck, 1e-3)[job.member]
        assert difference(together[job.member].memory, alone.memory) < 1e-10


def test_a_short_batch_is_filled_up_with_rows_of_its_own_scenario() -> None:
    """Another scenario's ids need not fit its table: here they are larger than all of its own."""
    data = encode(Synthetic(scenarios=2, rows=(900, 200), users=600, items=10).load(), share=False)
    assert data.whole["train"].ids[0].min() >= data.tables["scenario-1"].private_rows
    deck = Deck(data, torch.float64, CPU)
    model = SMALL.build(data.layout)
    work = jobs(data, model, deck, {"scenario-0": 2, "scenario-1": 2}, {"scenario-0": 64, "scenario-1": 10})
    together = train(model, work, deck, 1e-2)
    alone = train(model, work[1:], deck, 1e-2)[work[1].member]
    assert difference(together[work[1].member].memory, alone.memory) < 1e-12


def plain_training(
    data: EncodedData, model: MMoE, job: Job, deck: Deck, optimiser: Callable[[Leaves], torch.optim.Optimizer]
) -> Leaves:
    """The same steps by autograd and an optimiser of torch's, one member, whole tables."""
    name = job.member.scenario
    leaves = {n: p.clone().requires_grad_() for n, p in job.memory.whole("model", deck.used[name]).items()}
    stepper = optimiser(leaves)
    table = data.tables[name].splits["train"]
    for rows in batch_rows(job.member, "rounds", len(table), job.batch, 0, job.steps):
        stepper.zero_grad()
        part = table.take(rows.numpy())
        stacked = Stacked(model, [Weights(leaves)])
        logits = model.forward(stacked.parameters, Pass(stacked.batch([part])))[0]
        target = torch.from_numpy(part.labels).double()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        losses.mean(0).sum().backward()
        stepper.step()
    return {n: leaf.detach() for n, leaf in leaves.items()}


def torchs(kind: type[Adam] | type[SGD]) -> Any:
    return torch.optim.Adam if kind is Adam else torch.optim.SGD


@pytest.mark.parametrize("settings", [SMALL, RESIDUAL], ids=["plain", "residual"])
@pytest.mark.parametrize("kind", [Adam, SGD])
def test_five_steps_equal_torchs_own_optimiser(
    synthetic: EncodedData, deck: Deck, kind: type[Adam] | type[SGD], settings: MMoESettings
) -> None:
    model = settings.build(synthetic.layout)
    job = even(synthetic, model, deck, 5, 32)[0]
    memory = train(model, [job], deck, 1e-2, rule=kind(1e-2))[job.member].memory
    assert ("model.m" in memory.slots) is ("model.v" in memory.slots) is (kind is Adam)
    ours = memory.whole("model", deck.used["scenario-0"])
    wanted = plain_training(synthetic, model, job, deck, lambda leaves: torchs(kind)(leaves.values(), lr=1e-2))
    for n, value in wanted.items():
        assert torch.allclose(ours[n], value, atol=1e-12), n


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_decay_draws_the_templates_factors_to_one_and_all_else_to_zero(
    synthetic: EncodedData, deck: Deck, kind: type[Adam] | type[SGD]
) -> None:
    model = SMALL.build(synthetic.layout)
    job = even(synthetic, model, deck, 5, 32)[0]
    ours = train(model, [job], deck, 1e-2, rule=kind(1e-2, decay=0.1))[job.member].memory
    factors = {n for n, role in model.roles().items() if role in (Role.EXPERT_LOCAL, Role.EXPERT_TASK)}
    assert factors

    def optimiser(leaves: Leaves) -> Any:
        class Decayed(torchs(kind)):  # type: ignore[misc]
            def step(self) -> None:  # L2, added to the gradient by hand
                for n, leaf in leaves.items():
                    leaf.grad = leaf.grad + 0.1 * (leaf.detach() - (1.0 if n in factors else 0.0))
                super().step()

        return Decayed(leaves.values(), lr=1e-2)

    wanted = plain_training(synthetic, model, job, deck, optimiser)
    for n, value in ours.model.items():
        expected = wanted[n][deck.used["scenario-0"]] if n == "shared_embedding" else wanted[n]
        assert torch.allclose(value, expected, atol=1e-12), n


def test_a_scenario_holds_and_trains_the_rows_of_shared_tables_that_it_uses(synthetic: EncodedData) -> None:
    """Of whatever size its rows are: in memory and mapped it is the same. That whole tables would give the same too is
    what `plain_training` shows."""
    model = MMoESettings(template=True).build(synthetic.layout)
    packed, mapped = (Deck(synthetic, torch.float64, CPU, in_memory=size) for size in (1 << 20, 0))
    one, two = (train(model, even(synthetic, model, deck, 4), deck, 1e-2) for deck in (packed, mapped))
    for job in even(synthetic, model, packed, 4):
        used = packed.used[job.member.scenario]
        assert len(used) < synthetic.layout.shared_rows
        memory = one[job.member].memory
        assert len(memory.model["shared_embedding"]) == len(used)
        assert difference(memory, two[job.member].memory) == 0
        unused = torch.ones(synthetic.layout.shared_rows, dtype=torch.bool)
        unused[used] = False
        before, after = (m.whole("model", used)["shared_embedding"] for m in (job.memory, memory))
        assert torch.equal(before[unused], after[unused])
        assert not torch.equal(before[~unused], after[~unused])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_packed_and_mapped_rows_are_the_tables_rows(synthetic: EncodedData, dtype: torch.dtype) -> None:
    packed, mapped = (Deck(synthetic, dtype, CPU, in_memory=size) for size in (1 << 20, 0))
    index = torch.tensor([[0, 5, 5], [639, 2, 1]])
    train = synthetic.whole["train"]
    for ids, numeric, labels in (packed.gather(index), mapped.gather(index)):
        assert (ids.dtype, numeric.dtype, labels.dtype) == (torch.int32, dtype, dtype)
        assert torch.equal(ids, torch.from_numpy(train.ids)[index])
        assert torch.equal(numeric, torch.from_numpy(train.numeric)[index].to(dtype))
        assert torch.equal(labels, torch.from_numpy(train.labels)[index].to(dtype))


def test_an_epoch_is_a_permutation_and_streams_do_not_depend_on_others() -> None:
    rows = torch.cat(batch_rows(Member(0, "a"), "rounds", 10, 4, 0, 3))
    assert sorted(rows.tolist()) == list(range(10))
    again = batch_rows(Member(0, "a"), "rounds", 10, 4, 1, 4)
    whole = batch_rows(Member(0, "a"), "rounds", 10, 4, 0, 5)
    assert [r.tolist() for r in again] == [r.tolist() for r in whole[1:]]
    assert [len(r) for r in whole] == [4, 4, 2, 4, 4]
    assert whole[3].tolist() != whole[0].tolist()
    assert batch_rows(Member(1, "a"), "rounds", 10, 4, 0, 1)[0].tolist() != whole[0].tolist()


def test_a_missing_task_does_not_train(synthetic: EncodedData) -> None:
    model = MMoESettings(template=True).build(synthetic.layout)
    split = synthetic.whole["train"]
    labels, first = np.array(split.labels), len(synthetic.tables["scenario-0"].splits["train"])
    labels[first : first + len(synthetic.tables["scenario-1"].splits["train"]), 1] = np.nan
    deck = Deck(replace(synthetic, whole={"train": replace(split, labels=labels)}), torch.float64, CPU)
    work = even(synthetic, model, deck, 3)
    found = train(model, work, deck, 1e-2)
    before, after = work[1].memory.model, found[work[1].member].memory.model
    assert torch.equal(before["tower.0.weight"][1], after["tower.0.weight"][1])
    assert not torch.equal(before["tower.0.weight"][0], after["tower.0.weight"][0])
    other = found[work[0].member].memory.model["tower.0.weight"]
    assert not torch.equal(work[0].memory.model["tower.0.weight"][1], other[1])


def test_scenarios_have_shuffles_and_dropout_of_their_own(synthetic: EncodedData, deck: Deck) -> None:
    orders = [torch.cat(batch_rows(Member(0, name), "rounds", 100, 16, 0, 5)).tolist() for name in ("a", "b")]
    assert orders[0] != orders[1]
    masks: list[torch.Tensor] = []

    class Watched(MMoE):
        def body(self, parameters: Any, x: torch.Tensor, forward: Pass) -> torch.Tensor:
            mask = forward.dropped((len(x), 1, 8, x.shape[1]), 0.5, "expert.0")
            assert mask is not None
            masks.append(mask)
            return super().body(parameters, x, forward)

    model = Watched(synthetic.layout, MMoESettings(template=True, dropout=0.5))
    train(model, even(synthetic, model, deck, 2, 32), deck, 1e-3)
    one, two = masks
    assert not torch.equal(one[0], one[1])  # another scenario, the same step
    assert not torch.equal(one[0], two[0])  # the same scenario, the next step
