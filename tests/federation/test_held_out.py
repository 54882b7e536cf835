"""The second exchange: the best mixture on held-out rows, the same on both sides, and no harm."""

import numpy as np
import pytest
import torch

from methods.helpers import aggregate, settle
from msmtrec.aggregation.personalization import BETAS, mixture
from msmtrec.data.table import EncodedData, Rows
from msmtrec.federation.held_out import Holding, answer_offers, held_out_rows
from msmtrec.methods import METHODS
from msmtrec.methods.base import Offer, OfferPart, TableRows, Upload
from msmtrec.models.predict import Weights, predict
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.settings.star import STARSettings


def state_and_consensus(data: EncodedData, name: str, kind: str = "mmoe"):  # type: ignore[no-untyped-def]
    settings = {
        "mmoe": MMoESettings(template=True, embedding_dim=4, expert_layers=(8, 6), tower_layers=()),
        "star": STARSettings(embedding_dim=4),
    }
    model = settings[kind].build(data.layout)
    params = model.initialise(0, name, data.tables[name].private_rows, torch.float64)
    generator = torch.Generator().manual_seed(3)
    other = {n: p + 0.5 * torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in params.items()}
    return model, params, other


def offer(model, other, start=None):  # type: ignore[no-untyped-def]
    experts = {d.name: other[d.name] for d in model.declare() if d.role == "expert.scenario"}
    towers = {d.name: other[d.name] for d in model.declare() if d.role == "tower"}
    return Offer((OfferPart("experts", experts), OfferPart("towers", towers, per_task=True)), start, 0.7)


def respond(model, offered, params, rows: Rows, tasks, betas=None):  # type: ignore[no-untyped-def]
    """One scenario by itself: what it mixed, what it remembers, its answer."""
    (found,) = answer_offers(model, [offered], [Holding(Weights(params), betas or {}, rows, tasks)])
    return found.mixed, found.betas, found.answer


def plain_losses(model, params, rows: Rows) -> np.ndarray:  # type: ignore[no-untyped-def]
    logits = predict(model, params, rows).numpy()
    return (np.logaddexp(0, logits) - rows.labels * logits).mean(0)


def test_the_answer_is_the_best_mixture_on_held_out_rows(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, params, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    changed, betas, answer = respond(model, offer(model, other), params, rows, [True, True])

    experts = offer(model, other).parts[0].parameters
    losses = []
    for beta in BETAS:
        mixed = {n: mixture(params[n], c, torch.tensor([beta])) for n, c in experts.items()}
        losses.append(plain_losses(model, params | mixed, rows).mean())
    best = BETAS[int(np.argmin(losses))]
    assert answer.betas["experts"] == (best,)
    assert answer.loss_own["experts"][0] == pytest.approx(losses[0], abs=1e-9)
    assert answer.loss_mixed["experts"][0] == pytest.approx(min(losses), abs=1e-9)

    # towers come last, task by task, with the experts already mixed
    towers = offer(model, other).parts[1].parameters
    base = params | changed | {n: params[n] for n in towers}
    for task in range(2):
        by_beta = [
            plain_losses(model, base | {n: torch.lerp(base[n], c, b) for n, c in towers.items()}, rows)[task]
            for b in BETAS
        ]
        assert answer.betas["towers"][task] == BETAS[int(np.argmin(by_beta))]
    assert betas["experts"] == (best,)
    assert changed.keys() == {*experts, *towers}


def test_server_and_client_hold_the_same_bytes(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, params, _ = state_and_consensus(synthetic, name)
    method = METHODS["pf-msmtrec"].settings(beta_start=0.6).build(model.declare())
    server = method.init({d.name: params[d.name] for d in method.leaving()}, {})
    uploads = {}
    for n, scale in ((name, 0.1), ("other", -0.2)):
        moved = {k: params[k] + scale * torch.randn(params[k].shape, dtype=torch.float64) for k in method.network()}
        ids = torch.arange(3)
        table = TableRows(ids, ids + 1, params["shared_embedding"][ids])
        uploads[n] = Upload(n, 5, (True, True), {"model": moved}, tables={"shared_embedding": table})
    outcome = aggregate(method, server, uploads, params)
    held_out = synthetic.tables[name].splits["validation"]
    own = {**params, **uploads[name].slots["model"]}
    changed, _, answer = respond(model, outcome.offers[name], own, held_out, [True, True])
    settled = settle(method, outcome.state, uploads, {name: answer}, params).state
    held = method.last(settled, name)
    assert held.keys() == {d.name for d in (*method.experts, *method.towers)}
    for n, value in held.items():
        assert value.numpy().tobytes() == changed[n].numpy().tobytes()


def test_too_few_rows_keep_beta_and_are_reported(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, params, other = state_and_consensus(synthetic, name)
    few = synthetic.tables[name].splits["validation"].take(slice(0, 49))
    changed, _, answer = respond(model, offer(model, other), params, few, [True, True])
    assert answer.betas["experts"] == (1.0,)
    assert answer.checked["experts"] == (False,)
    again = respond(model, offer(model, other), params, few, [True, True], {"experts": (0.4,)})
    assert again[2].betas["experts"] == (0.4,)
    assert torch.equal(changed["expert.0.bias.scenario"], other["expert.0.bias.scenario"])


@pytest.mark.parametrize("spoil", ["no positive", "no negative", "few labels"])
def test_a_task_that_cannot_be_measured_does_not_switch_the_check_off(spoil: str, synthetic: EncodedData) -> None:
    """With one class of task 1 the mixture is judged on task 0 alone, and a harmful consensus is refused."""
    name = synthetic.scenarios[0]
    model, params, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    labels = rows.labels.copy()
    if spoil != "few labels":
        labels[:, 1] = spoil == "no negative"
    else:
        labels[49:, 1] = np.nan
    spoiled = Rows(rows.ids, rows.numeric, labels, rows.group)
    harmful = {n: p * 40 for n, p in other.items()}
    _, _, answer = respond(model, offer(model, harmful, start=1.0), params, spoiled, [True, True])
    assert answer.betas["experts"] == (0.0,)
    assert answer.checked["experts"] == (True,)
    assert answer.loss_own["experts"][0] == pytest.approx(plain_losses(model, params, rows)[0], abs=1e-9)
    assert answer.checked["towers"] == (True, False)
    assert answer.betas["towers"] == (0.0, 1.0)  # nothing speaks for or against task 1's tower: beta stays


def test_one_row_of_either_class_is_enough_to_measure(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, params, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    labels = np.zeros_like(rows.labels)
    labels[0, 0] = 1  # one positive
    labels[1:, 1] = 1  # one negative
    _, _, answer = respond(
        model, offer(model, other), params, Rows(rows.ids, rows.numeric, labels, rows.group), [True, True]
    )
    assert answer.checked["towers"] == (True, True)


def test_a_task_the_scenario_lacks_gets_the_mean_tower_and_its_labels_are_not_read(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, params, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    spoiled = Rows(rows.ids, rows.numeric, rows.labels.copy(), rows.group)
    spoiled.labels[:, 1] = 1 - spoiled.labels[:, 1]
    answers = [respond(model, offer(model, other), params, r, [True, False])[2] for r in (rows, spoiled)]
    assert answers[0].betas == answers[1].betas
    assert answers[0].betas["towers"][1] == 1.0


def test_do_no_harm_holds_on_the_held_out_rows(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, params, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    harmful = {n: p * 40 for n, p in other.items()}
    _, _, answer = respond(model, offer(model, harmful, start=1.0), params, rows, [True, True])
    assert answer.betas["experts"] == (0.0,)
    assert answer.loss_mixed == answer.loss_own


@pytest.mark.parametrize("kind", ["mmoe", "star"])
def test_scenarios_answer_together_as_they_do_alone(kind: str, synthetic: EncodedData) -> None:
    """Different numbers of rows, some with nothing to measure; each on its own consensus."""
    offers, holdings = [], []
    sizes = dict(zip(synthetic.scenarios, (49, 120, 90, 200), strict=False))
    for number, (name, size) in enumerate(sizes.items()):
        model, params, other = state_and_consensus(synthetic, name, kind)
        scaled = {n: p + (1 + number) * (other[n] - p) for n, p in params.items()}
        offers.append(offer(model, scaled))
        rows = synthetic.tables[name].splits["validation"].take(slice(0, size))
        holdings.append(Holding(Weights(params), {"experts": (0.3,)}, rows, [True, number != 2]))
    together = answer_offers(model, offers, holdings)
    for one, other_offer, holding in zip(together, offers, holdings, strict=True):
        (alone,) = answer_offers(model, [other_offer], [holding])
        assert one.answer.betas == alone.answer.betas
        assert one.answer.checked == alone.answer.checked
        for label, losses in alone.answer.loss_mixed.items():
            assert one.answer.loss_mixed[label] == pytest.approx(losses, abs=1e-12, nan_ok=True)
        assert all(torch.equal(one.mixed[n], value) for n, value in alone.mixed.items())
    assert len({found.answer.betas["towers"] for found in together}) > 1


def test_the_held_out_sample_is_evenly_spaced(synthetic: EncodedData) -> None:
    rows = synthetic.tables[synthetic.scenarios[0]].splits["train"]
    sample = held_out_rows(rows, 50)
    assert len(sample) == 50
    assert np.array_equal(sample.ids[[0, -1]], rows.ids[[0, -1]])
    assert held_out_rows(rows, None) is rows
