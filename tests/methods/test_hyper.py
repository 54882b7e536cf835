"""The `hyper` family by hand: what is added, and how alpha moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.federation import Case
from methods.helpers import COMMON, aggregate, method, start, upload
from methods.suite import ALL
from methods.test_pf_msmtrec import NARROW, A, B, uploads_of
from msmtrec.methods.settings.pf_msmtrec import PAPER

CASE = Case(
    "pf-msmtrec",
    {**PAPER, "penalty": 0.1},
    {
        "embeddings": "shared",
        "normalization": "off",
        "alignment": "distance",
        "coordination": 0.9,
        "rescale": "fedhca2",
        "personalization": "uniform",
        "towers": "uniform",
        "penalty": 1.0,
        "alpha": 0.5,
        "clip": 0.5,
    },
    {"beta_start": 0.5, "beta_keep": 0.1, "tolerance": 1.0},
    identity=False,
    tolerance=1e-4,
)
"""The penalty of dead units is rounding alone, and Adam takes whole steps on it: see Ditto's case."""


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(replace(CASE, rate=1.0, network=NARROW) if "option" in check.__name__ else CASE)


def test_hyper_is_no_identity_for_identical_scenarios() -> None:
    m = method("pf-msmtrec", "paper")
    outcome = aggregate(m, start(m), uploads_of(m, a=A, b=A))
    assert torch.allclose(outcome.replies["a"].model["expert.scenario"], 1.1 * A)  # dW + alpha·m


def test_hyper_two_rounds_by_hand() -> None:
    m = method("pf-msmtrec", "paper", towers=None)
    first = aggregate(m, start(m), uploads_of(m, a=A, b=B))
    # expert 0: U = (.5,.5); a holds (1,0) + .1·(.5,.5) = (1.05,.05)
    held = first.replies["a"].model["expert.scenario"]
    assert held[0].tolist() == pytest.approx([1.05, 0.05])
    # a moves by (1,1) against last_n: <dW,U>/|U|² = 1/.5 = 2, alpha = .1 + .01·(2 - 1e-5)
    moved = {"a": held + torch.ones(2, 2), "b": first.replies["b"].model["expert.scenario"] + torch.ones(2, 2)}
    second = aggregate(m, first.state, uploads_of(m, **moved))
    alpha = second.state.held["a"].alphas["experts"].alpha[0]
    assert alpha == pytest.approx(0.1 + 0.01 * (2 - 1e-4 * 0.1))
    expected = moved["a"][0] + alpha * torch.tensor([1.0, 1.0])
    assert second.replies["a"].model["expert.scenario"][0].tolist() == pytest.approx(expected.tolist())
    assert first.state.held["a"].alphas["experts"].alpha[0] == 0.1  # states are not changed in place


def test_hyper_with_one_scenario_adds_nothing() -> None:
    m = method("pf-msmtrec", "paper")
    assert torch.equal(aggregate(m, start(m), uploads_of(m, a=A)).replies["a"].model["expert.scenario"], A)


def test_hyper_gives_a_scenario_without_the_task_the_others_mean_tower() -> None:
    m = method("pf-msmtrec", preset="paper")
    sent = {
        "a": upload(m, "a", expert__scenario=A, tower=A),
        "b": upload(m, "b", expert__scenario=B, tower=B),
        "c": upload(m, "c", tasks=(True, False), expert__scenario=A, tower=100 * A),
    }
    tower = aggregate(m, start(m), sent).replies["c"].model["tower"]
    assert torch.allclose(tower[1], (A[1] + B[1]) / 2)
    assert not torch.allclose(tower[0], (A[0] + B[0]) / 2)


def test_hyper_welcomes_with_the_mean_of_the_others() -> None:
    m = method("pf-msmtrec", "paper")
    outcome = aggregate(m, start(m), uploads_of(m, a=A, b=B))
    reply = m.welcome(outcome.state, "late")[1].model["expert.scenario"]
    both = torch.stack([outcome.replies[n].model["expert.scenario"] for n in "ab"])
    assert torch.allclose(reply, both.mean(0))
    assert COMMON["tower"].sum() == 0


def test_hyper_towers_add_nothing_where_only_one_scenario_has_the_task() -> None:
    m = method("pf-msmtrec", "paper")
    ones = torch.ones(2, 2)
    uploads = {"a": upload(m, "a", tower=ones), "b": upload(m, "b", tasks=(True, False), tower=ones)}
    tower = aggregate(m, start(m), uploads).replies["a"].model["tower"]
    assert tower.tolist() == [[pytest.approx(1.1)] * 2, [1.0, 1.0]]


def test_alpha_moves_by_the_update_that_a_scenario_was_itself_given_however_long_ago() -> None:
    m = method("pf-msmtrec", "paper", towers=None)
    one = aggregate(m, start(m), uploads_of(m, a=A, b=B, c=A)).state
    two = aggregate(m, one, uploads_of(m, a=2 * A, b=2 * B)).state  # c is absent
    held = m.last(two, "c")["expert.scenario"]
    three = aggregate(m, two, uploads_of(m, a=3 * A, b=3 * B, c=held + 1)).state
    # expert 0: the U of round 1, which c holds, is found from what a got: last_n + dW + .1 U
    given = (m.last(one, "c")["expert.scenario"][0] - A[0]) / 0.1
    step = 0.01 * (float(torch.ones(2) @ given / given.square().sum()) - 1e-4 * 0.1)
    assert three.held["c"].alphas["experts"].alpha[0] == pytest.approx(0.1 + step, abs=1e-6)


def test_alpha_stands_still_where_no_common_update_was_added() -> None:
    m = method("pf-msmtrec", "paper", towers=None)
    alone = aggregate(m, start(m), uploads_of(m, a=A)).state  # nobody to listen to: nothing added
    assert torch.equal(m.last(alone, "a")["expert.scenario"], A)
    after = aggregate(m, alone, uploads_of(m, a=2 * A, b=B)).state
    assert after.held["a"].alphas["experts"].alpha == (0.1, 0.1)
    task = method("pf-msmtrec", "paper")
    state = start(task)
    for scale in (1.0, 2.0):  # task 1 is a's alone
        sent = {"a": upload(task, "a", tower=scale * A), "b": upload(task, "b", tasks=(True, False), tower=scale * A)}
        state = aggregate(task, state, sent).state
    alphas = state.held["a"].alphas["towers"].alpha
    assert alphas[0] != 0.1
    assert alphas[1] == 0.1
