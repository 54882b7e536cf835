import numpy as np
import pytest
import torch

from msmtrec.aggregation.personalization import BETAS, mixture
from msmtrec.data.table import EncodedData, Rows
from msmtrec.federation.client import answer_offer, held_out_rows, load_reply, make_upload
from msmtrec.federation.member import ClientState
from msmtrec.federation.server import ServerState, settle
from msmtrec.methods import METHODS
from msmtrec.methods.base import Offer, OfferPart, Reply
from msmtrec.models.mmoe import MMoESettings
from msmtrec.models.predict import predict


def state_and_consensus(data: EncodedData, name: str):  # type: ignore[no-untyped-def]
    model = MMoESettings(embedding_dim=4, expert_layers=(8, 6), tower_layers=()).build(data.layout)
    params = model.initialise(0, name, data.tables[name].private_rows, torch.float64)
    generator = torch.Generator().manual_seed(3)
    other = {n: p + 0.5 * torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in params.items()}
    return model, ClientState.fresh(params), other


def offer(model, other, start=None):  # type: ignore[no-untyped-def]
    experts = {d.name: other[d.name] for d in model.declare() if d.role == "expert.scenario"}
    towers = {d.name: other[d.name] for d in model.declare() if d.role == "tower"}
    return Offer((OfferPart("experts", experts), OfferPart("towers", towers, per_task=True)), start, 0.7)


def plain_losses(model, params, rows: Rows) -> np.ndarray:  # type: ignore[no-untyped-def]
    logits = predict(model, params, rows).numpy()
    return (np.logaddexp(0, logits) - rows.labels * logits).mean(0)


def test_the_answer_is_the_best_mixture_on_held_out_rows(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, state, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    new, answer = answer_offer(model, state, offer(model, other), rows, [True, True])

    experts = offer(model, other).parts[0].parameters
    losses = []
    for beta in BETAS:
        mixed = {n: mixture(state.parameters[n], c, torch.tensor([beta])) for n, c in experts.items()}
        losses.append(plain_losses(model, state.parameters | mixed, rows).mean())
    best = BETAS[int(np.argmin(losses))]
    assert answer.betas["experts"] == (best,)
    assert answer.loss_own["experts"][0] == pytest.approx(losses[0], abs=1e-9)
    assert answer.loss_mixed["experts"][0] == pytest.approx(min(losses), abs=1e-9)

    # towers come last, task by task, with the experts already mixed
    towers = offer(model, other).parts[1].parameters
    base = {n: new.parameters[n] for n in state.parameters} | {n: state.parameters[n] for n in towers}
    for task in range(2):
        by_beta = [
            plain_losses(model, base | {n: torch.lerp(base[n], c, b) for n, c in towers.items()}, rows)[task]
            for b in BETAS
        ]
        assert answer.betas["towers"][task] == BETAS[int(np.argmin(by_beta))]
    assert new.betas["experts"] == (best,)


def test_server_and_client_hold_the_same_bytes(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, state, _ = state_and_consensus(synthetic, name)
    method = METHODS["pf-msmtrec"].settings(beta_start=0.6).build(model.declare())
    leaving = [d.name for d in method.leaving()]
    server = method.init({n: state.parameters[n] for n in leaving})
    table = synthetic.tables[name].splits
    uploads = {}
    for n, scale in ((name, 0.1), ("other", -0.2)):
        moved = {k: p + scale * torch.randn(p.shape, dtype=p.dtype) for k, p in state.parameters.items()}
        uploads[n] = make_upload(
            method, n, ClientState.fresh(moved), table["train"], torch.arange(50), [True, True], model
        )
    outcome = method.aggregate(server, uploads)
    client = ClientState.fresh({**state.parameters, **uploads[name].parameters})
    client, answer = answer_offer(model, client, outcome.offers[name], table["validation"], [True, True])
    settled = settle(method, ServerState(outcome.state), uploads, {name: answer}).state.method
    held = method.last(settled, name)
    assert held.keys() == {d.name for d in (*method.experts, *method.towers)}
    for n, value in held.items():
        assert value.numpy().tobytes() == client.parameters[n].numpy().tobytes()


def test_too_few_rows_keep_beta_and_are_reported(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, state, other = state_and_consensus(synthetic, name)
    few = synthetic.tables[name].splits["validation"].take(slice(0, 49))
    new, answer = answer_offer(model, state, offer(model, other), few, [True, True])
    assert answer.betas["experts"] == (1.0,)
    assert answer.checked["experts"] == (False,)
    again = answer_offer(
        model, ClientState(**{**vars(state), "betas": {"experts": (0.4,)}}), offer(model, other), few, [True, True]
    )
    assert again[1].betas["experts"] == (0.4,)
    assert torch.equal(new.parameters["expert.0.bias.scenario"], other["expert.0.bias.scenario"])


def test_a_task_the_scenario_lacks_gets_the_mean_tower_and_its_labels_are_not_read(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, state, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    spoiled = Rows(rows.ids, rows.numeric, rows.labels.copy(), rows.group)
    spoiled.labels[:, 1] = 1 - spoiled.labels[:, 1]
    answers = [answer_offer(model, state, offer(model, other), r, [True, False])[1] for r in (rows, spoiled)]
    assert answers[0].betas == answers[1].betas
    assert answers[0].betas["towers"][1] == 1.0


def test_do_no_harm_holds_on_the_held_out_rows(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, state, other = state_and_consensus(synthetic, name)
    rows = synthetic.tables[name].splits["validation"]
    harmful = {n: p * 40 for n, p in other.items()}
    _, answer = answer_offer(model, state, offer(model, harmful, start=1.0), rows, [True, True])
    assert answer.betas["experts"] == (0.0,)
    assert answer.loss_mixed == answer.loss_own


def test_upload_holds_only_what_leaves_and_counts_touches(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    model, state, _ = state_and_consensus(synthetic, name)
    method = METHODS["pf-msmtrec"].settings().build(model.declare())
    train = synthetic.tables[name].splits["train"]
    used = torch.tensor([0, 0, 3])
    upload = make_upload(method, name, state, train, used, [True, False], model)
    assert not any(word in key for key in upload.parameters for word in ("gate", "local", "task"))
    assert "embedding" not in upload.parameters
    assert upload.tasks == (True, False)
    assert upload.rows == len(train)
    counts = upload.touches["shared_embedding"]
    assert int(counts.sum()) == 3 * 2  # two shared fields a row
    assert counts[train.ids[0, model.layout.private_columns]] >= 2


def test_load_keeps_everything_local(synthetic: EncodedData) -> None:
    name = synthetic.scenarios[0]
    _, state, other = state_and_consensus(synthetic, name)
    new = load_reply(state, Reply({"gate": other["gate"]}, {"expert.0.weight.scenario": other["gate"]}))
    assert torch.equal(new.parameters["gate"], other["gate"])
    assert all(new.parameters[n] is p for n, p in state.parameters.items() if n != "gate")
    assert new.first is state.first
    assert "expert.0.weight.scenario" in new.anchors


def test_the_held_out_sample_is_evenly_spaced(synthetic: EncodedData) -> None:
    rows = synthetic.tables[synthetic.scenarios[0]].splits["train"]
    sample = held_out_rows(rows, 50)
    assert len(sample) == 50
    assert np.array_equal(sample.ids[[0, -1]], rows.ids[[0, -1]])
    assert held_out_rows(rows, None) is rows
