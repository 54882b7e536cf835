"""Row weights in training: by hand, and a row of weight 2 is two rows, a row of weight 0 none, a unit nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from federation.test_held_out import offer, respond, state_and_consensus
from federation.test_stack import CPU, SMALL, difference, even, jobs, train
from federation.weighed import repeated, weighed
from msmtrec.base.member import Member
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck, batch_rows
from msmtrec.federation.stack import Trained
from msmtrec.federation.weights import RowWeights
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.methods.phases import SGD
from msmtrec.models.base import Pass
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.mmoe import MMoESettings

Arrays = dict[str, NDArray[np.float64]]


def drawn(data: EncodedData, seed: int = 0) -> Arrays:
    """Weights 0 … 3 of all rows."""
    random = np.random.default_rng(seed)
    return {split: random.integers(0, 4, len(rows)).astype(float) for split, rows in data.whole.items()}


def masked(data: EncodedData) -> EncodedData:
    """A third of the second task's training labels are missing."""
    data.whole["train"].labels[::3, 1] = np.nan
    return data


@pytest.fixture
def small() -> EncodedData:
    return masked(encode(Synthetic(scenarios=2, rows=(300, 200), users=30, items=20).load(), share=True))


def trained(data: EncodedData, steps: int, batch: int, model: MMoESettings = SMALL) -> Mapping[Member, Trained]:
    deck = Deck(data, torch.float64, CPU)
    built = model.build(data.layout)
    return train(built, even(data, built, deck, steps, batch), deck, 0.1, rule=SGD(0.1))


def furthest(one: Mapping[Member, Trained], two: Mapping[Member, Trained]) -> float:
    return max(difference(one[member].memory, two[member].memory) for member in one)


def test_a_step_on_all_rows_is_that_of_the_weighted_mean(small: EncodedData) -> None:
    weights = drawn(small)
    data = weighed(small, weights)
    found = trained(data, 1, 10_000)
    model, deck = SMALL.build(data.layout), Deck(data, torch.float64, CPU)
    for job in even(data, model, deck, 1):
        rows = data.tables[job.member.scenario].splits["train"]
        leaves = {n: p.clone().requires_grad_() for n, p in job.memory.whole("model", deck.used[rows_of(job)]).items()}
        stacked = Stacked(model, [Weights(leaves)])
        logits = model.forward(stacked.parameters, Pass(stacked.batch([rows])))[0]
        loss = torch.zeros((), dtype=torch.float64)
        for task in range(2):
            known = torch.from_numpy(~np.isnan(rows.labels[:, task]))
            w = torch.from_numpy(rows.weight.astype(np.float64))[known]  # type: ignore[union-attr]
            y, x = torch.from_numpy(rows.labels[:, task]).double()[known], logits[known, task]
            loss = loss + (w * (torch.log1p(torch.exp(x)) - y * x)).sum() / w.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        got = found[job.member].memory.whole("model", deck.used[rows_of(job)])
        for name, leaf in leaves.items():
            gradient: Tensor = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            assert torch.allclose(got[name], leaf.detach() - 0.1 * gradient, atol=1e-12), name
        assert found[job.member].loss == pytest.approx(float(loss.detach()))


def rows_of(job: object) -> str:
    return str(job.member.scenario)  # type: ignore[attr-defined]


def test_a_weight_is_how_often_a_row_is_there(small: EncodedData) -> None:
    weights = drawn(small)
    often = repeated(small, weights["train"].astype(np.int64))
    assert furthest(trained(weighed(small, weights), 1, 10_000), trained(often, 1, 10_000)) < 1e-12
    assert furthest(trained(small, 1, 10_000), trained(often, 1, 10_000)) > 1e-4


def test_the_unit_of_weight_is_no_learning_rate(small: EncodedData) -> None:
    weights = drawn(small)
    unit = np.where(np.arange(len(weights["train"])) < len(small.tables["scenario-0"].splits["train"]), 64.0, 1 / 64)
    other = {**weights, "train": weights["train"] * unit}
    assert furthest(trained(weighed(small, weights), 9, 32), trained(weighed(small, other), 9, 32)) < 1e-12
    alike = {split: np.full(len(rows), 0.3) for split, rows in small.whole.items()}
    assert furthest(trained(weighed(small, alike), 9, 32), trained(small, 9, 32)) < 1e-7
    ones = {split: np.ones(len(rows)) for split, rows in small.whole.items()}
    assert furthest(trained(weighed(small, ones), 9, 32), trained(small, 9, 32)) == 0


def test_weights_are_one_on_average_over_a_scenarios_rows_with_the_label(small: EncodedData) -> None:
    """So that the mean of all batches' gradients is that of the weighted mean: Σ w·l / (w̄·n)."""
    deck = Deck(weighed(small, drawn(small)), torch.float64, CPU)
    assert deck.weights is not None
    for number, (name, table) in enumerate(small.tables.items()):
        known = torch.from_numpy(table.splits["train"].labels).isfinite()  # [N, T]
        index = deck.starts[name] + torch.arange(len(known))
        known &= deck.weights.rows[index].unsqueeze(1) > 0
        scaled = deck.weights.gather(index, torch.full((len(known),), number))
        assert (scaled * known).sum(0) / known.sum(0) == pytest.approx(1)


def test_a_row_of_weight_nought_is_one_without_labels(small: EncodedData) -> None:
    """In every batch, and in what the server weighs a scenario by."""
    weights = {split: np.ones(len(rows)) for split, rows in small.whole.items()}
    weights["train"] = (drawn(small)["train"] > 1).astype(float)
    found = trained(weighed(small, weights), 9, 32)
    deck = Deck(weighed(small, weights), torch.float64, CPU)
    sizes = [len(table.splits["train"]) for table in small.tables.values()]
    wanted = [int(part.sum()) for part in np.split(weights["train"], [sizes[0]])]
    assert list(deck.counted.values()) == wanted
    assert list(deck.sizes.values()) == sizes == list(Deck(small, torch.float64, CPU).counted.values())
    small.whole["train"].labels[weights["train"] == 0] = np.nan
    assert furthest(found, trained(small, 9, 32)) < 1e-12


def test_rows_of_weight_nought_do_not_move_a_network(small: EncodedData) -> None:
    member = Member(0, "scenario-0")
    weights = drawn(small)
    size = len(small.tables["scenario-0"].splits["train"])
    first, second = batch_rows(member, "rounds", size, 32, 0, 2)
    weights["train"][:size] = 1
    weights["train"][first.numpy()] = 0
    data = weighed(small, weights)
    nothing = trained(data, 1, 32)[member].memory
    deck, model = Deck(data, torch.float64, CPU), SMALL.build(data.layout)
    before = even(data, model, deck, 1)[0].memory
    assert all(torch.equal(value, before.model[name]) for name, value in nothing.model.items())
    moved = trained(data, 2, 32)[member].memory
    assert not all(torch.equal(value, before.model[name]) for name, value in moved.model.items())
    assert len(second) == 32


@pytest.mark.parametrize("in_memory", [1 << 31, 0])
def test_a_stack_equals_separate_runs(synthetic: EncodedData, in_memory: int) -> None:
    data = weighed(synthetic, drawn(synthetic))
    model = MMoESettings(template=True, dropout=0.3).build(data.layout)
    deck = Deck(data, torch.float64, CPU, in_memory=in_memory)
    steps, batch = (dict(zip(data.scenarios, n, strict=True)) for n in ((12, 5, 8), (64, 50, 37)))
    work = jobs(data, model, deck, steps, batch, seeds=(0, 1))
    together = train(model, work, deck, 3e-3)
    for job in work:
        alone = train(model, [job], deck, 3e-3)[job.member]
        assert difference(together[job.member].memory, alone.memory) < 1e-10


def test_pooled_scenarios_count_by_their_rows_whatever_their_units() -> None:
    logs = Synthetic(scenarios=2, rows=(300, 200), users=30, items=20).load().pooled()
    plain = encode(logs, share=False)
    (table,) = plain.tables.values()
    weights = np.ones(len(plain.whole["train"]), np.float32)
    weights[table.parts["train"]["scenario-1"]] = 100
    rows = plain.whole["train"]
    table.splits["train"] = rows = type(rows)(  # type: ignore[index]
        rows.ids, rows.numeric, rows.labels, rows.group, scenario=table.splits["train"].scenario, weight=weights
    )
    plain.whole["train"] = rows  # type: ignore[index]
    found = RowWeights.of(plain, torch.float64, CPU)
    assert found is not None
    index = torch.arange(len(weights))
    assert found.gather(index, torch.from_numpy(np.array(rows.scenario))) == pytest.approx(1)


def test_without_weights_there_is_nothing_to_gather(deck: Deck) -> None:
    assert deck.weights is None


def test_mixtures_are_measured_on_weighted_rows(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, params, other = state_and_consensus(synthetic, name)
    data = weighed(synthetic, drawn(synthetic))
    rows = data.tables[name].splits["validation"]
    assert rows.weight is not None
    weights = rows.weight.astype(np.float64)
    answer = respond(model, offer(model, other), params, rows, [True, True])[2]
    logits = predict(model, params, rows).numpy()
    each = np.logaddexp(0, logits) - rows.labels * logits
    assert answer.loss_own["experts"][0] == pytest.approx(np.average(each, axis=0, weights=weights).mean(), abs=1e-9)
    often = synthetic.tables[name].splits["validation"].take(np.repeat(np.arange(len(weights)), weights.astype(int)))
    wanted = respond(model, offer(model, other), params, often, [True, True])[2]
    for got, expected in ((answer.loss_own, wanted.loss_own), (answer.loss_mixed, wanted.loss_mixed)):
        for part in got:
            assert got[part] == pytest.approx(expected[part], abs=1e-9)
    few = rows.weight.copy()
    few[np.flatnonzero(few)[49:]] = 0
    data = weighed(
        synthetic,
        {split: few if split == "validation" else drawn(synthetic)[split] for split in SPLITS}
        | {"validation": np.r_[few, np.ones(len(synthetic.whole["validation"]) - len(few))]},
    )
    answer = respond(model, offer(model, other), params, data.tables[name].splits["validation"], [True, True])[2]
    assert answer.checked["experts"] == (False,)  # 49 rows count
