"""PF-MSMTrec with item-mix's treatment of shared tables: both are as they are alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from methods.federation import Case, Federation
from methods.helpers import COMMON, DECLARATIONS, aggregate, method, start, upload
from methods.suite import ALL
from msmtrec.base.roles import Policy, Role
from msmtrec.methods import METHODS
from msmtrec.methods.item_mix import ADAPTER, HELD
from msmtrec.methods.item_mix import COMMON as MIXED
from msmtrec.methods.phases import LocalRound

CASE = Case("pf-msmtrec", {"embeddings": "mixed", "beta_start": None, "tolerance": 0.0, "penalty": 1e-3}, adopts=True)


@pytest.mark.parametrize("personalization", ["hyper", "held-out", "uniform"])
@pytest.mark.parametrize("check", [check for check in ALL if "option" not in check.__name__])
def test_properties(check, personalization: str) -> None:  # type: ignore[no-untyped-def]
    options = {**CASE.options, "personalization": personalization, "towers": personalization}
    check(replace(CASE, options=options, identity=personalization != "hyper"))


def table(*values: float) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(1)


def sent(m: Any) -> dict[str, Any]:
    """As in item-mix's own example, which is worked out there; experts of ones and threes."""
    a = upload(m, "a", 3, touches=(1, 1, 0), shared_embedding=table(1.0, -1.0, 9.0), expert__scenario=torch.ones(2, 2))
    b = upload(
        m, "b", 1, touches=(3, 1, 2), shared_embedding=table(-4.0, 6.0, 4.0), expert__scenario=3 * torch.ones(2, 2)
    )
    return {"a": a, "b": b}


def test_tables_are_item_mixs_and_all_else_is_ours() -> None:
    options = {"personalization": "uniform", "towers": "uniform", "coordination": None}
    ours, item_mix = method("pf-msmtrec", embeddings="mixed", **options), method("item-mix")
    plain = method("pf-msmtrec", embeddings="shared", **options)
    found, tables, rest = (aggregate(m, start(m), sent(m)) for m in (ours, item_mix, plain))
    assert found.replies["a"].model["expert.scenario"].tolist() == [[2, 2], [2, 2]]
    for name in "ab":
        assert found.replies[name].slots.keys() == {"model", MIXED}
        assert torch.equal(
            found.replies[name].slots[MIXED]["shared_embedding"], tables.replies[name].slots[MIXED]["shared_embedding"]
        )
        network = {n: v for n, v in rest.replies[name].model.items() if n != "shared_embedding"}
        assert found.replies[name].model.keys() == network.keys()
        assert all(torch.equal(value, found.replies[name].model[n]) for n, value in network.items())
    assert found.diagnostics["own_weight"] == tables.diagnostics["own_weight"]
    means = found.state.consensus["shared_embedding"]
    assert torch.equal(means, rest.state.consensus["shared_embedding"])
    assert ours.refresh(found.state).slots == {MIXED: {"shared_embedding": means}}
    state, welcome = ours.welcome(found.state, "new")
    assert (welcome.slots.keys(), welcome.model["shared_embedding"] is means) == ({"model", MIXED}, True)
    _, replies = ours.again(state, {"a": 1})
    assert replies["a"].slots.keys() == {"model", MIXED}
    assert "shared_embedding" not in replies["a"].model  # it goes on with what it served


def test_what_leaves_and_what_a_scenario_holds() -> None:
    m, plain = method("pf-msmtrec", embeddings="mixed", penalty=1.0), method("pf-msmtrec", embeddings="shared")
    assert m.policies()["model", Role.SHARED_EMBEDDING] is Policy.COLLECT
    assert m.leaving() == plain.leaving()
    assert m.leaving_slots() == ("model",)
    assert m.begin(COMMON).keys() == {"anchor", MIXED, ADAPTER, HELD}
    (phase,) = m.local(LocalRound(2, 0.1, done=frozenset({"merge"})))
    assert (phase.also, phase.extra is not None, phase.compose is not None) == ((ADAPTER,), True, True)
    assert [phase.name for phase in m.adapt(LocalRound(2, 0.1))] == ["merge"]
    assert not plain.adapt(LocalRound(2, 0.1))


def test_embeddings_are_mixed_once_a_round() -> None:
    case = replace(CASE, options={**CASE.options, "personalization": "held-out", "towers": "held-out"})
    found, times = Federation(case, 3), list[LocalRound]()
    adapt = found.method.adapt

    def counted(round: LocalRound) -> Any:
        times.append(round)
        return adapt(round)

    found.method.adapt = counted  # type: ignore[method-assign]
    found.run()
    assert len(times) == 3  # all scenarios together
    assert all(set(memory.clocks) == {"merge", "rounds"} for memory in found.runtime.memories.values())
    for towers in ("hyper", "uniform"):
        with pytest.raises(ValidationError, match=f"towers must be held-out or null, not {towers}"):
            METHODS["pf-msmtrec"].settings(embeddings="mixed", towers=towers)


def test_without_shared_fields_it_is_said() -> None:
    settings = METHODS["pf-msmtrec"].settings(embeddings="mixed")
    without = tuple(d for d in DECLARATIONS if d.role is not Role.SHARED_EMBEDDING)
    assert list(settings.build(DECLARATIONS).cautions(2)) == []
    assert list(settings.build(without).cautions(2)) == ["embeddings mixed has no effect: no field is declared shared"]
    assert settings.build(without).begin({n: v for n, v in COMMON.items() if n != "shared_embedding"}) == {}
