import pytest
import torch

from methods.helpers import COMMON, method, start, upload
from msmtrec.aggregation.normalization import moments
from msmtrec.aggregation.personalization import mixture
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.methods.base import Answer, Upload
from msmtrec.methods.consensus import expert_consensus

A = torch.tensor([[1.0, 0.0], [2.0, 2.0]])
B = torch.tensor([[0.0, 1.0], [2.0, 2.0]])


def uploads_of(m, **values):  # type: ignore[no-untyped-def]
    return {name: upload(m, name, expert__scenario=value) for name, value in values.items()}


def answer(experts: float, towers: tuple[float, float] = (1.0, 1.0)) -> Answer:
    nan = float("nan")
    return Answer(
        {"experts": (experts,), "towers": towers},
        {"experts": (nan,), "towers": (nan, nan)},
        {"experts": (nan,), "towers": (nan, nan)},
        {"experts": (True,), "towers": (True, True)},
    )


def test_what_leaves() -> None:
    paper, recommended = method("pf-msmtrec", "paper"), method("pf-msmtrec", "recommended")
    assert {d.role for d in paper.leaving()} == {Role.EXPERT_SCENARIO, Role.TOWER}
    assert {d.role for d in recommended.leaving()} == {Role.EXPERT_SCENARIO, Role.TOWER, Role.SHARED_EMBEDDING}
    assert paper.penalties == {Role.EXPERT_SCENARIO: 1e-3}


def test_consensus_by_hand() -> None:
    # expert 0: dW = (1,0) and (0,1), m = (.5,.5). Both agree equally, so V = m + c m = 1.4 m and U = m after the
    # identity rescale; without it U = (.7,.7). Consensus C = mean(W) + U - m. Expert 1: identical updates.
    m = method("pf-msmtrec", personalization="uniform", towers=None, rescale="none")
    replies = m.aggregate(start(m), uploads_of(m, a=A, b=B)).replies
    assert replies["a"].parameters["expert.scenario"][0].tolist() == pytest.approx([0.7, 0.7])
    m = method("pf-msmtrec", personalization="uniform", towers=None)
    expert = m.aggregate(start(m), uploads_of(m, a=A, b=B)).replies["b"].parameters["expert.scenario"]
    assert expert[0].tolist() == pytest.approx([0.5, 0.5])
    assert expert[1].tolist() == [2.0, 2.0]


def test_plain_mean_without_coordination() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    expert = m.aggregate(start(m), uploads_of(m, a=3 * A, b=-A)).replies["a"].parameters["expert.scenario"]
    assert torch.allclose(expert, A)


def test_coordination_helps_the_scenario_that_the_mean_hurts() -> None:
    plain = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    coordinated = method("pf-msmtrec", personalization="uniform", towers=None)
    worst = []
    for m in (plain, coordinated):
        outcome = m.aggregate(start(m), uploads_of(m, a=3 * A, b=-A + 0.5 * B))
        update = outcome.replies["a"].parameters["expert.scenario"][0]
        worst.append(float(update @ (-A + 0.5 * B)[0]))
    assert worst[1] > worst[0]


@pytest.mark.parametrize("normalization", ["off", "tensor", "channel"])
@pytest.mark.parametrize("personalization", ["uniform", "held-out"])
def test_identical_scenarios_and_one_scenario_are_unchanged(normalization: str, personalization: str) -> None:
    m = method("pf-msmtrec", normalization=normalization, personalization=personalization, towers=personalization)
    value = torch.randn(2, 2)
    for names in (("a",), ("a", "b", "c")):
        uploads = {n: upload(m, n, expert__scenario=value, tower=value) for n in names}
        outcome = m.aggregate(start(m), uploads)
        state = outcome.state
        if outcome.offers:
            state = m.settle(state, uploads, {n: answer(0.7) for n in names}).state
        for n in names:
            assert torch.equal(state.tensors[f"last/{n}/expert.scenario"], value)
            assert torch.equal(state.tensors[f"last/{n}/tower"], value)


def test_hyper_is_no_identity_for_identical_scenarios() -> None:
    m = method("pf-msmtrec", "paper")
    outcome = m.aggregate(start(m), uploads_of(m, a=A, b=A))
    assert torch.allclose(outcome.replies["a"].parameters["expert.scenario"], 1.1 * A)  # dW + alpha·m


def test_hyper_two_rounds_by_hand() -> None:
    m = method("pf-msmtrec", "paper", towers=None)
    first = m.aggregate(start(m), uploads_of(m, a=A, b=B))
    # expert 0: U = (.5,.5); a holds (1,0) + .1·(.5,.5) = (1.05,.05)
    held = first.replies["a"].parameters["expert.scenario"]
    assert held[0].tolist() == pytest.approx([1.05, 0.05])
    # a moves by (1,1) against last_n: <dW,U>/|U|² = 1/.5 = 2, alpha = .1 + .01·(2 - 1e-5)
    moved = {"a": held + torch.ones(2, 2), "b": first.replies["b"].parameters["expert.scenario"] + torch.ones(2, 2)}
    second = m.aggregate(first.state, uploads_of(m, **moved))
    alpha = second.state.values["alpha"]["a/experts"][0]
    assert alpha == pytest.approx(0.1 + 0.01 * (2 - 1e-4 * 0.1))
    expected = moved["a"][0] + alpha * torch.tensor([1.0, 1.0])
    assert second.replies["a"].parameters["expert.scenario"][0].tolist() == pytest.approx(expected.tolist())
    assert first.state.values["alpha"]["a/experts"][0] == 0.1  # states are not changed in place


def test_hyper_with_one_scenario_adds_nothing() -> None:
    m = method("pf-msmtrec", "paper")
    assert torch.equal(m.aggregate(start(m), uploads_of(m, a=A)).replies["a"].parameters["expert.scenario"], A)


def test_held_out_settles_to_the_clients_own_mixture() -> None:
    m = method("pf-msmtrec")
    uploads = uploads_of(m, a=A, b=B)
    outcome = m.aggregate(start(m), uploads)
    consensus = outcome.offers["a"].parts[0].parameters["expert.scenario"]
    state = m.settle(outcome.state, uploads, {"a": answer(0.25), "b": answer(0.0)}).state
    own = mixture(A, consensus, torch.tensor([0.25], dtype=torch.float64))
    assert torch.equal(state.tensors["last/a/expert.scenario"], own)
    assert torch.equal(state.tensors["last/b/expert.scenario"], B)  # beta = 0 returns the raw weights


def test_beta_zero_returns_raw_weights_also_with_normalisation() -> None:
    m = method("pf-msmtrec", normalization="tensor")
    uploads = uploads_of(m, a=A, b=5 * B)
    outcome = m.aggregate(start(m), uploads)
    state = m.settle(outcome.state, uploads, {n: answer(0.0) for n in uploads}).state
    assert torch.equal(state.tensors["last/b/expert.scenario"], 5 * B)


def test_the_literal_normalisation_wipes_the_consensus() -> None:
    m = method("pf-msmtrec", normalization="literal", coordination=None, personalization="uniform", towers=None)
    big = {"a": 10 + A, "b": 10 + B}
    outcome = m.aggregate(start(m), uploads_of(m, **big))
    assert outcome.replies["a"].parameters["expert.scenario"].abs().max() < 1e-6


def test_an_absent_scenario_is_left_out_and_its_next_update_refers_to_what_it_last_held() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    first = m.aggregate(start(m), uploads_of(m, a=A, b=B))
    second = m.aggregate(first.state, uploads_of(m, a=first.replies["a"].parameters["expert.scenario"] + 1))
    assert "b" not in second.replies
    held = m.last(second.state, "b")["expert.scenario"]
    assert torch.equal(held, first.replies["b"].parameters["expert.scenario"])


def test_every_option_changes_the_result() -> None:
    def result(**options):  # type: ignore[no-untyped-def]
        m = method("pf-msmtrec", **{"personalization": "hyper", "towers": "hyper", **options})
        state = start(m)
        values = {"a": torch.tensor([[3.0, 1.0], [0.5, -2.0]]), "b": torch.tensor([[-1.0, 0.5], [4.0, 1.0]])}
        for _ in range(2):
            uploads = {
                n: upload(m, n, expert__scenario=v, tower=v * (1 if n == "a" else 30)) for n, v in values.items()
            }
            outcome = m.aggregate(state, uploads)
            state = outcome.state
        return torch.cat(
            [p.flatten() for p in outcome.replies["a"].parameters.values()]
            + [p.flatten() for p in outcome.replies["a"].anchors.values()]
        )

    base = result()
    for changed in (
        {"coordination": 0.8},
        {"rescale": "none"},
        {"alpha": 0.5},
        {"clip": 1.1},
        {"personalization": "uniform"},
        {"towers": "uniform"},
        {"penalty": 0.1},
    ):
        assert result(**changed).tolist() != base.tolist(), changed
    for kind in ("tensor", "literal"):
        assert not torch.equal(
            result(personalization="uniform", normalization=kind), result(personalization="uniform")
        ), kind


@pytest.mark.parametrize("towers", ["uniform", "hyper"])
def test_towers_come_last_also_when_only_the_experts_are_measured(towers: str) -> None:
    m = method("pf-msmtrec", personalization="held-out", towers=towers, coordination=None)
    sent = uploads_of(m, a=A, b=B)
    outcome = m.aggregate(start(m), sent)
    assert "tower" not in outcome.replies["a"].parameters  # the experts' beta is measured below the scenario's own
    only = Answer({"experts": (0.5,)}, {"experts": (0.7,)}, {"experts": (0.6,)}, {"experts": (True,)})
    settled = m.settle(outcome.state, sent, {"a": only})
    assert set(settled.replies["a"].parameters) == {"tower"}
    expected = method("pf-msmtrec", personalization="uniform", towers=towers, coordination=None)
    at_once = expected.aggregate(start(expected), sent).replies["a"].parameters["tower"]
    assert torch.equal(settled.replies["a"].parameters["tower"], at_once)
    assert torch.equal(m.last(settled.state, "a")["tower"], at_once)


def test_hyper_gives_a_scenario_without_the_task_the_others_mean_tower() -> None:
    m = method("pf-msmtrec", preset="paper")
    sent = {
        "a": upload(m, "a", expert__scenario=A, tower=A),
        "b": upload(m, "b", expert__scenario=B, tower=B),
        "c": upload(m, "c", tasks=(True, False), expert__scenario=A, tower=100 * A),
    }
    tower = m.aggregate(start(m), sent).replies["c"].parameters["tower"]
    assert torch.allclose(tower[1], (A[1] + B[1]) / 2)
    assert not torch.allclose(tower[0], (A[0] + B[0]) / 2)


def test_a_new_scenario_is_welcomed_with_the_consensus() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers="uniform")
    outcome = m.aggregate(start(m), uploads_of(m, a=A, b=B))
    state, reply = m.welcome(outcome.state, "late")
    assert torch.equal(reply.parameters["expert.scenario"], outcome.replies["a"].parameters["expert.scenario"])
    assert torch.equal(m.last(state, "late")["expert.scenario"], reply.parameters["expert.scenario"])


def test_hyper_welcomes_with_the_mean_of_the_others() -> None:
    m = method("pf-msmtrec", "paper")
    outcome = m.aggregate(start(m), uploads_of(m, a=A, b=B))
    reply = m.welcome(outcome.state, "late")[1].parameters["expert.scenario"]
    both = torch.stack([outcome.replies[n].parameters["expert.scenario"] for n in "ab"])
    assert torch.allclose(reply, both.mean(0))
    assert COMMON["tower"].sum() == 0


def test_channel_moments_change_the_consensus_of_a_weight_matrix() -> None:
    weights = (Declaration("w", Role.EXPERT_SCENARIO, (2, 3, 2), "kaiming", "expert"),)
    held = {n: {"w": torch.zeros(2, 3, 2)} for n in "ab"}
    uploads = {
        n: Upload(n, 1, (True,), {"w": torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(s)) * (s + 1)})
        for s, n in enumerate("ab")
    }
    found = [
        expert_consensus(weights, held, uploads, kind, None, "identity").consensus["w"]
        for kind in ("off", "tensor", "channel")
    ]
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[1], found[2])
    by_hand = moments(torch.stack([u.parameters["w"][1, :, 0] for u in uploads.values()])).mean(0)
    assert torch.allclose(found[2][1, :, 0], by_hand)


def test_a_first_upload_in_a_later_round_refers_to_the_common_start() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    first = m.aggregate(start(m), uploads_of(m, a=A + 5, b=B + 5))
    assert torch.equal(m.last(first.state, "late")["expert.scenario"], COMMON["expert.scenario"])
    second = m.aggregate(first.state, uploads_of(m, late=A))
    assert second.diagnostics["update_norms"]["late"] == pytest.approx(float(A.norm()))


def test_hyper_towers_add_nothing_where_only_one_scenario_has_the_task() -> None:
    m = method("pf-msmtrec", "paper")
    ones = torch.ones(2, 2)
    uploads = {"a": upload(m, "a", tower=ones), "b": upload(m, "b", tasks=(True, False), tower=ones)}
    tower = m.aggregate(start(m), uploads).replies["a"].parameters["tower"]
    assert tower.tolist() == [[pytest.approx(1.1)] * 2, [1.0, 1.0]]


def test_alpha_waits_for_a_scenario_that_did_not_get_the_last_common_update() -> None:
    m = method("pf-msmtrec", "paper", towers=None)
    one = m.aggregate(start(m), uploads_of(m, a=A, b=B, c=A)).state
    two = m.aggregate(one, uploads_of(m, a=2 * A, b=2 * B)).state
    three = m.aggregate(two, uploads_of(m, a=3 * A, b=3 * B, c=3 * A)).state
    assert three.values["alpha"]["c/experts"] == [0.1, 0.1]
    assert three.values["alpha"]["a/experts"] != two.values["alpha"]["a/experts"] != [0.1, 0.1]
