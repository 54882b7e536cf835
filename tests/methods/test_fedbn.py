"""FedBN: all properties on a network with norms, two scenarios by hand, and norms that stay by role, not by name."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case, Federation
from methods.helpers import COMMON, DECLARATIONS, aggregate, start, upload
from methods.suite import ALL
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.methods import METHODS
from msmtrec.models.settings.mmoe import MMoESettings

NORMED = MMoESettings(embedding_dim=3, experts=2, expert_layers=(5, 4), tower_layers=(4,), norm="batch")
CASE = Case("fedbn", {"embeddings": "shared"}, {"embeddings": "local"}, network=NORMED)
KEPT = {Role.NORM_AFFINE, Role.NORM_STATISTICS}


@pytest.mark.parametrize("check", ALL)
def test_properties(check) -> None:  # type: ignore[no-untyped-def]
    check(CASE)


def test_two_scenarios_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is a norm is said by its role: one that is called otherwise stays, a layer that is called so does not."""
    more = (
        Declaration("bent", Role.NORM_AFFINE, (2,), "ones"),
        Declaration("bent.variance", Role.NORM_STATISTICS, (2,), "ones"),
        Declaration("batch_norm.bn", Role.EXPERT_SCENARIO, (2, 2), "kaiming", unit_axis="expert"),
    )
    monkeypatch.setitem(COMMON, "batch_norm.bn", torch.zeros(2, 2))
    m = METHODS["fedbn"].settings().build((*DECLARATIONS, *more))
    layers = {n: {"model": {"batch_norm.bn": torch.full((2, 2), v)}} for n, v in (("a", 1.0), ("b", 5.0))}
    sent = {"a": upload(m, "a", rows=3, slots=layers["a"]), "b": upload(m, "b", slots=layers["b"])}
    reply = aggregate(m, start(m), sent).replies["a"].model
    assert reply["batch_norm.bn"].unique().tolist() == [2.0]
    assert reply.keys() == {"expert.local", "expert.scenario", "gate", "tower", "batch_norm.bn"}


def test_every_norm_stays_and_nothing_else_does() -> None:
    """Scales, shifts and running moments of experts and towers differ after the download, all layers are alike."""
    found = Federation(CASE, 3).run()
    one, two = list(found.runtime.memories.values())[:2]
    roles = {n: r for n, r in found.site.model.roles().items() if r not in (Role.EMBEDDING, Role.SHARED_EMBEDDING)}
    assert sum(role in KEPT for role in roles.values()) == 4 * 3  # two expert layers, one tower layer
    for name, role in roles.items():
        assert torch.equal(one.model[name], two.model[name]) == (role not in KEPT), name
    assert not {name for name, role in roles.items() if role in KEPT} & set(found.method.common_names())


def test_without_norms_it_is_an_average_and_says_so() -> None:
    plain, normed = (
        METHODS["fedbn"].settings().build(Federation(CASE, 1, network=network).site.model.declare())
        for network in (NORMED.model_copy(update={"norm": None}), NORMED)
    )
    assert [s.endswith("this is fedavg (mmoe has it with norm: batch)") for s in plain.cautions(3)] == [True]
    assert not list(normed.cautions(3))
