from dataclasses import replace

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import COMMON, aggregate, method, settle, start, upload
from methods.suite import ALL
from msmtrec.aggregation.normalization import moments
from msmtrec.aggregation.personalization import mixture
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.methods.base import Answer
from msmtrec.methods.consensus import expert_consensus
from msmtrec.models.settings.mmoe import MMoESettings

CASE = Case(
    "pf-msmtrec",
    {"beta_start": None, "tolerance": 0.0},
    {
        "embeddings": "local",
        "normalization": "tensor",
        "alignment": "distance",
        "coordination": None,
        "rescale": "none",
        "personalization": "uniform",
        "towers": None,
        "penalty": 1.0,
        "beta_start": 0.3,
        "beta_keep": 0.1,
        "tolerance": 5.0,
        "clip": 0.5,
    },
    {"alpha": 0.5},
)
NARROW = MMoESettings(template=True, embedding_dim=1, experts=6, expert_layers=(1,), tower_layers=(4,))
OUT_OF_ORDER = replace(CASE, rate=0.4, network=NARROW)
"""Experts of one unit, at a rate that brings them out of order."""
ALIGNED = {"alignment": "cosine", "penalty": 1e-3}


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(OUT_OF_ORDER if "option" in check.__name__ else CASE)


@pytest.mark.parametrize("personalization", ["hyper", "held-out", "uniform"])
@pytest.mark.parametrize("check", [check for check in ALL if "option" not in check.__name__])
def test_properties_of_matched_experts(check, personalization: str) -> None:  # type: ignore[no-untyped-def]
    options = {**CASE.options, **ALIGNED, "personalization": personalization}
    case = replace(OUT_OF_ORDER, options=options, identity=personalization != "hyper")
    check(case)
    found = Federation(case, 2).run().journal.records[-1]["diagnostics"][0]["order/experts"]
    assert any(order != sorted(order) for order in found.values())


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
    assert (paper.settings.penalty, recommended.settings.penalty) == (1e-3, 0)
    assert (set(paper.begin(COMMON)), set(recommended.begin(COMMON))) == ({"anchor"}, set())


def test_consensus_by_hand() -> None:
    # expert 0: dW = (1,0) and (0,1), m = (.5,.5). Both agree equally, so V = m + c m = 1.4 m and U = m after the
    # identity rescale; without it U = (.7,.7). Consensus C = mean(W) + U - m. Expert 1: identical updates.
    m = method("pf-msmtrec", personalization="uniform", towers=None, rescale="none")
    replies = aggregate(m, start(m), uploads_of(m, a=A, b=B)).replies
    assert replies["a"].model["expert.scenario"][0].tolist() == pytest.approx([0.7, 0.7])
    m = method("pf-msmtrec", personalization="uniform", towers=None)
    expert = aggregate(m, start(m), uploads_of(m, a=A, b=B)).replies["b"].model["expert.scenario"]
    assert expert[0].tolist() == pytest.approx([0.5, 0.5])
    assert expert[1].tolist() == [2.0, 2.0]


def test_what_is_written_down_of_the_conflicts_by_hand() -> None:
    # expert 0: updates at right angles; expert 1: (2,2) and -(2,2), whose mean vanishes
    m = method("pf-msmtrec", personalization="uniform", towers=None)
    opposed = torch.stack([B[0], -A[1]])
    outcome = aggregate(m, start(m), uploads_of(m, a=A, b=opposed))
    found = outcome.diagnostics
    assert found["cosine"] == [[1.0, -0.5], [-0.5, 1.0]]  # means over the experts
    assert found["conflict_weights"] == [[0.5, 0.5], [0.5, 0.5]]
    assert found["coefficients"] == [0.5, 0.5]
    assert (found["negative_pairs"], found["degenerate"]) == (0.5, 1)
    assert found["duality_gap"] == pytest.approx(0, abs=1e-9)
    assert outcome.state.dual == {"a": pytest.approx((0.5, 0.5)), "b": pytest.approx((0.5, 0.5))}


def test_plain_mean_without_coordination() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    expert = aggregate(m, start(m), uploads_of(m, a=3 * A, b=-A)).replies["a"].model["expert.scenario"]
    assert torch.allclose(expert, A)


def test_coordination_helps_the_scenario_that_the_mean_hurts() -> None:
    plain = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    coordinated = method("pf-msmtrec", personalization="uniform", towers=None)
    worst = []
    for m in (plain, coordinated):
        outcome = aggregate(m, start(m), uploads_of(m, a=3 * A, b=-A + 0.5 * B))
        update = outcome.replies["a"].model["expert.scenario"][0]
        worst.append(float(update @ (-A + 0.5 * B)[0]))
    assert worst[1] > worst[0]


@pytest.mark.parametrize("normalization", ["off", "tensor", "channel"])
@pytest.mark.parametrize("personalization", ["uniform", "held-out"])
def test_identical_scenarios_and_one_scenario_are_unchanged(normalization: str, personalization: str) -> None:
    m = method("pf-msmtrec", normalization=normalization, personalization=personalization, towers=personalization)
    value = torch.randn(2, 2)
    for names in (("a",), ("a", "b", "c")):
        uploads = {n: upload(m, n, expert__scenario=value, tower=value) for n in names}
        outcome = aggregate(m, start(m), uploads)
        state = outcome.state
        if outcome.offers:
            state = settle(m, state, uploads, {n: answer(0.7) for n in names}).state
        for n in names:
            assert torch.equal(m.last(state, n)["expert.scenario"], value)
            assert torch.equal(m.last(state, n)["tower"], value)


def test_held_out_settles_to_the_clients_own_mixture() -> None:
    m = method("pf-msmtrec")
    uploads = uploads_of(m, a=A, b=B)
    outcome = aggregate(m, start(m), uploads)
    consensus = outcome.offers["a"].parts[0].parameters["expert.scenario"]
    state = settle(m, outcome.state, uploads, {"a": answer(0.25), "b": answer(0.0)}).state
    own = mixture(A, consensus, torch.tensor([0.25], dtype=torch.float64))
    assert torch.equal(m.last(state, "a")["expert.scenario"], own)
    assert torch.equal(m.last(state, "b")["expert.scenario"], B)  # beta = 0 returns the raw weights
    assert torch.equal(m.last(outcome.state, "a")["expert.scenario"], COMMON["expert.scenario"])  # not in place


def test_beta_zero_returns_raw_weights_also_with_normalisation() -> None:
    m = method("pf-msmtrec", normalization="tensor")
    uploads = uploads_of(m, a=A, b=5 * B)
    outcome = aggregate(m, start(m), uploads)
    state = settle(m, outcome.state, uploads, {n: answer(0.0) for n in uploads}).state
    assert torch.equal(m.last(state, "b")["expert.scenario"], 5 * B)


def test_the_literal_normalisation_wipes_the_consensus() -> None:
    m = method("pf-msmtrec", normalization="literal", coordination=None, personalization="uniform", towers=None)
    big = {"a": 10 + A, "b": 10 + B}
    outcome = aggregate(m, start(m), uploads_of(m, **big))
    assert outcome.replies["a"].model["expert.scenario"].abs().max() < 1e-6


def test_an_absent_scenario_is_left_out_and_its_next_update_refers_to_what_it_last_held() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    first = aggregate(m, start(m), uploads_of(m, a=A, b=B))
    second = aggregate(m, first.state, uploads_of(m, a=first.replies["a"].model["expert.scenario"] + 1))
    assert "b" not in second.replies
    held = m.last(second.state, "b")["expert.scenario"]
    assert torch.equal(held, first.replies["b"].model["expert.scenario"])


def test_who_could_not_measure_a_task_that_it_has_is_named() -> None:
    m = method("pf-msmtrec")
    tasks = {"a": (True, True), "b": (True, False), "c": (True, True)}
    sent = {n: upload(m, n, tasks=has, expert__scenario=A) for n, has in tasks.items()}
    checked = {"a": ((True,), (True, True)), "b": ((False,), (True, False)), "c": ((True,), (True, False))}
    answers = {n: replace(answer(0.5), checked={"experts": e, "towers": t}) for n, (e, t) in checked.items()}
    found = settle(m, aggregate(m, start(m), sent).state, sent, answers).diagnostics
    assert found["unchecked/experts"] == ["b"]
    assert found["unchecked/towers"] == ["c"]  # b has no second task
    assert found["beta/experts"] == {"a": [0.5], "b": [0.5], "c": [0.5]}


def test_every_option_changes_the_result() -> None:
    def result(**options):  # type: ignore[no-untyped-def]
        m = method("pf-msmtrec", **{"personalization": "hyper", "towers": "hyper", **options})
        state = start(m)
        values = {"a": torch.tensor([[3.0, 1.0], [0.5, -2.0]]), "b": torch.tensor([[-1.0, 0.5], [4.0, 1.0]])}
        for _ in range(2):
            uploads = {
                n: upload(m, n, expert__scenario=v, tower=v * (1 if n == "a" else 30)) for n, v in values.items()
            }
            outcome = aggregate(m, state, uploads)
            state = outcome.state
        return torch.cat(
            [p.flatten() for p in outcome.replies["a"].model.values()]
            + [p.flatten() for p in outcome.replies["a"].slots.get("anchor", {}).values()]
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
    outcome = aggregate(m, start(m), sent)
    assert "tower" not in outcome.replies["a"].model  # the experts' beta is measured below the scenario's own
    only = Answer({"experts": (0.5,)}, {"experts": (0.7,)}, {"experts": (0.6,)}, {"experts": (True,)})
    settled = settle(m, outcome.state, sent, {"a": only})
    assert set(settled.replies["a"].model) == {"tower"}
    expected = method("pf-msmtrec", personalization="uniform", towers=towers, coordination=None)
    at_once = aggregate(expected, start(expected), sent).replies["a"].model["tower"]
    assert torch.equal(settled.replies["a"].model["tower"], at_once)
    assert torch.equal(m.last(settled.state, "a")["tower"], at_once)


def test_a_new_scenario_is_welcomed_with_the_consensus() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers="uniform")
    outcome = aggregate(m, start(m), uploads_of(m, a=A, b=B))
    state, reply = m.welcome(outcome.state, "late")
    assert torch.equal(reply.model["expert.scenario"], outcome.replies["a"].model["expert.scenario"])
    assert torch.equal(m.last(state, "late")["expert.scenario"], reply.model["expert.scenario"])
    assert state.held["a"] is outcome.state.held["a"]  # nobody else is forgotten


def test_channel_moments_change_the_consensus_of_a_weight_matrix() -> None:
    weights = (Declaration("w", Role.EXPERT_SCENARIO, (2, 3, 2), "kaiming", unit_axis="expert"),)
    held = {n: {"w": torch.zeros(2, 3, 2)} for n in "ab"}
    uploads = {
        n: {"w": torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(s)) * (s + 1)} for s, n in enumerate("ab")
    }
    found = [
        expert_consensus(
            weights, held, uploads, {"a": 1, "b": 1}, normalization=kind, c=None, rescale="identity"
        ).consensus["w"]
        for kind in ("off", "tensor", "channel")
    ]
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[1], found[2])
    by_hand = moments(torch.stack([u["w"][1, :, 0] for u in uploads.values()])).mean(0)
    assert torch.allclose(found[2][1, :, 0], by_hand)


def test_a_first_upload_in_a_later_round_refers_to_the_common_start() -> None:
    m = method("pf-msmtrec", personalization="uniform", towers=None, coordination=None)
    first = aggregate(m, start(m), uploads_of(m, a=A + 5, b=B + 5))
    assert torch.equal(m.last(first.state, "late")["expert.scenario"], COMMON["expert.scenario"])
    second = aggregate(m, first.state, uploads_of(m, late=A))
    assert torch.allclose(second.replies["late"].model["expert.scenario"], A)  # dW = A, relative to the common start
