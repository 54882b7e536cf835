from dataclasses import replace

import numpy as np
import pytest
import torch

from msmtrec.base.member import Member
from msmtrec.base.roles import Role
from msmtrec.data.encode import encode
from msmtrec.data.table import EncodedData, Rows
from msmtrec.federation.deck import Deck, batch_rows
from msmtrec.federation.member import ClientState
from msmtrec.federation.stack import Job, Optimiser, train_stack
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.models.mmoe import MMoESettings
from msmtrec.models.predict import single_batch, with_member_axis

CPU = torch.device("cpu")


def jobs(data: EncodedData, model, dtype: torch.dtype, steps: dict[str, int], batch: dict[str, int], seeds=(0,)):  # type: ignore[no-untyped-def]
    return [
        Job(
            Member(seed, name),
            ClientState.fresh(model.initialise(seed, name, data.tables[name].private_rows, dtype)),
            batch[name],
            steps[name],
        )
        for seed in seeds
        for name in data.scenarios
    ]


def difference(a: ClientState, b: ClientState) -> float:
    return max(
        float((x - y).abs().max())
        for one, two in ((a.parameters, b.parameters), (a.first, b.first), (a.second, b.second))
        for x, y in zip(one.values(), two.values(), strict=True)
    )


@pytest.mark.parametrize("settings", [MMoESettings(), MMoESettings(template=False, dropout=0.3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_a_stack_equals_separate_runs(
    synthetic: EncodedData, settings: MMoESettings, dtype: torch.dtype, tolerance: float
) -> None:
    model = settings.build(synthetic.layout)
    steps, batch = (
        dict(zip(synthetic.scenarios, (25, 7, 13), strict=True)),
        dict(zip(synthetic.scenarios, (64, 50, 37), strict=True)),
    )
    work = jobs(synthetic, model, dtype, steps, batch, seeds=(0, 1))
    deck, adam = Deck(synthetic, dtype, CPU), Optimiser(3e-3)
    together, used = train_stack(model, work, deck, adam)
    for job in work:
        alone, rows = train_stack(model, [job], deck, adam)
        assert difference(together[job.member], alone[job.member]) < tolerance
        assert torch.equal(used[job.member], rows[job.member])


def test_very_unequal_scenarios_equal_separate_runs() -> None:
    """KuaiRand's smallest tab beside its largest: 6,909 and 173,008 rows."""
    logs = Synthetic(scenarios=2, rows=(6909, 173_008), users=50, items=50).load()
    data = encode(logs, share=False)
    model = MMoESettings(expert_layers=(8,), experts=2, tower_layers=()).build(data.layout)
    rows = {n: len(t.splits["train"]) for n, t in data.tables.items()}
    batch = {"scenario-0": 96, "scenario-1": 2048}
    steps = {n: -(-rows[n] // batch[n]) for n in rows}  # one epoch each
    work = jobs(data, model, torch.float64, steps, batch)
    deck = Deck(data, torch.float64, CPU)
    together, used = train_stack(model, work, deck, Optimiser(1e-3))
    for job in work:
        name = job.member.scenario
        assert sorted(used[job.member].tolist()) == list(range(rows[name]))  # every row once, none cut, none twice
        alone, _ = train_stack(model, [job], deck, Optimiser(1e-3))
        assert difference(together[job.member], alone[job.member]) < 1e-10


@pytest.mark.parametrize("decay", [0.0, 1e-3])
def test_five_steps_equal_torchs_own_adam(synthetic: EncodedData, decay: float) -> None:
    model = MMoESettings(embedding_dim=2, experts=2, expert_layers=(3,), tower_layers=()).build(synthetic.layout)
    name = synthetic.scenarios[0]
    job = jobs(
        synthetic, model, torch.float64, dict.fromkeys(synthetic.scenarios, 5), dict.fromkeys(synthetic.scenarios, 32)
    )[0]
    deck = Deck(synthetic, torch.float64, CPU, decay=decay > 0)
    ours = train_stack(model, [job], deck, Optimiser(1e-2, weight_decay=decay))[0][job.member]

    leaves = {n: p.clone().requires_grad_() for n, p in job.state.parameters.items()}
    optimiser = torch.optim.Adam(leaves.values(), lr=1e-2, weight_decay=decay, fused=False)
    table = synthetic.tables[name].splits["train"]
    for rows in batch_rows(job.member, "rounds", len(table), 32, 0, 5):
        optimiser.zero_grad()
        part = Rows(*(getattr(table, k)[rows.numpy()] for k in ("ids", "numeric", "labels", "group")))
        logits = model.forward(with_member_axis(model, leaves), single_batch(model, part, leaves["gate"]))[0]
        target = torch.from_numpy(part.labels).double()
        sum(
            torch.nn.functional.binary_cross_entropy_with_logits(logits[:, t], target[:, t]) for t in range(2)
        ).backward()
        optimiser.step()
    for n, leaf in leaves.items():
        assert torch.allclose(ours.parameters[n], leaf.detach(), atol=1e-12), n


def test_a_scenario_trains_the_rows_of_shared_tables_that_it_uses(synthetic: EncodedData) -> None:
    model = MMoESettings().build(synthetic.layout)
    steps, batch = dict.fromkeys(synthetic.scenarios, 4), dict.fromkeys(synthetic.scenarios, 64)
    work = jobs(synthetic, model, torch.float64, steps, batch)
    small, whole = (Deck(synthetic, torch.float64, CPU, in_memory=size) for size in (1 << 20, 0))
    assert all(len(small.used[n]) < len(whole.used[n]) == synthetic.layout.shared_rows for n in synthetic.scenarios)
    one, other = (train_stack(model, work, deck, Optimiser(1e-2))[0] for deck in (small, whole))
    for job in work:
        assert difference(one[job.member], other[job.member]) < 1e-12
        unused = torch.ones(synthetic.layout.shared_rows, dtype=torch.bool)
        unused[small.used[job.member.scenario]] = False
        before, after = (s.parameters["shared_embedding"][unused] for s in (job.state, one[job.member]))
        assert torch.equal(before, after)
    with pytest.raises(ValueError, match="weight decay"):
        train_stack(model, work, small, Optimiser(1e-2, weight_decay=1e-3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_packed_rows_are_the_tables_rows(synthetic: EncodedData, dtype: torch.dtype) -> None:
    packed, mapped = (Deck(synthetic, dtype, CPU, in_memory=size) for size in (1 << 20, 0))
    index = torch.tensor([[0, 5, 5], [639, 2, 1]])
    one, two = packed.gather(index), mapped.gather(index)
    train = synthetic.whole["train"]
    for ids, numeric, labels in (one, two):
        assert (ids.dtype, numeric.dtype, labels.dtype) == (torch.int32, dtype, dtype)
        assert torch.equal(numeric, torch.from_numpy(train.numeric)[index].to(dtype))
        assert torch.equal(labels, torch.from_numpy(train.labels)[index].to(dtype))
    assert torch.equal(two[0], torch.from_numpy(train.ids)[index])
    split = packed.private_columns
    assert torch.equal(one[0][..., :split], two[0][..., :split])
    used = packed.used["scenario-0"]  # rows 0 … 629
    assert torch.equal(used[one[0][0, :, split:].long()], two[0][0, :, split:].long())


def test_the_penalty_is_its_gradient(synthetic: EncodedData) -> None:
    """One step from zero moments moves by sign(gradient): a huge penalty turns every W_scen towards its anchor."""
    model = MMoESettings().build(synthetic.layout)
    job = jobs(
        synthetic, model, torch.float64, dict.fromkeys(synthetic.scenarios, 1), dict.fromkeys(synthetic.scenarios, 32)
    )[0]
    anchors = {n: p + 1 for n, p in job.state.parameters.items() if model.roles()[n] is Role.EXPERT_SCENARIO}
    state = ClientState(job.state.parameters, job.state.first, job.state.second, 0, anchors)
    deck = Deck(synthetic, torch.float64, CPU)
    moved = train_stack(
        model,
        [Job(job.member, state, 32, 1)],
        deck,
        Optimiser(1e-3, penalties={Role.EXPERT_SCENARIO: 1e6}),
    )[0][job.member]
    for n in anchors:
        assert torch.allclose(moved.parameters[n] - state.parameters[n], torch.full_like(anchors[n], 1e-3), rtol=1e-5)


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
    model = MMoESettings().build(synthetic.layout)
    work = jobs(
        synthetic, model, torch.float64, dict.fromkeys(synthetic.scenarios, 3), dict.fromkeys(synthetic.scenarios, 64)
    )
    train = synthetic.whole["train"]
    labels, first = np.array(train.labels), len(synthetic.tables["scenario-0"].splits["train"])
    labels[first : first + len(synthetic.tables["scenario-1"].splits["train"]), 1] = np.nan
    deck = Deck(replace(synthetic, whole={"train": replace(train, labels=labels)}), torch.float64, CPU)
    states, _ = train_stack(model, work, deck, Optimiser(1e-2))
    before, after = work[1].state.parameters, states[work[1].member].parameters
    assert torch.equal(before["tower.0.weight"][1], after["tower.0.weight"][1])
    assert not torch.equal(before["tower.0.weight"][0], after["tower.0.weight"][0])
    assert not torch.equal(
        work[0].state.parameters["tower.0.weight"][1], states[work[0].member].parameters["tower.0.weight"][1]
    )
