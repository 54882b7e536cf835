"""Experts of several levels (PLE): a unit is an expert of one level, coordinated with that level's only."""

from __future__ import annotations

import pytest
import torch

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.methods import METHODS
from msmtrec.methods.consensus import Consensus, expert_consensus, units_of
from msmtrec.methods.hyper import Alphas, move_and_add

LOW = (
    Declaration("low.weight", Role.EXPERT_SCENARIO, (2, 3, 2), "kaiming", unit_axis="expert", level=0),
    Declaration("low.bias", Role.EXPERT_SCENARIO, (2, 2), "zeros", unit_axis="expert", level=0),
)
HIGH = (Declaration("high.weight", Role.EXPERT_SCENARIO, (3, 2, 2), "kaiming", unit_axis="expert", level=1),)
BOTH = (LOW[0], HIGH[0], LOW[1])


def sent(seed: int) -> dict[str, Parameters]:
    generator = torch.Generator().manual_seed(seed)
    return {n: {d.name: torch.randn(d.shape, generator=generator) for d in BOTH} for n in ("a", "b", "c")}  # type: ignore[arg-type]


@pytest.mark.parametrize("normalization", ["off", "tensor", "channel"])
def test_levels_together_are_levels_apart(normalization: str) -> None:
    held, new = sent(0), sent(1)

    def found(group: tuple[Declaration, ...]) -> Consensus:
        rows = dict.fromkeys("abc", 1)
        return expert_consensus(
            group, held, new, rows, normalization=normalization, c=0.4, rescale="identity", updates=True
        )

    both, low, high = (found(group) for group in (BOTH, LOW, HIGH))
    assert both.consensus.keys() == {**low.consensus, **high.consensus}.keys()
    for name, value in {**low.consensus, **high.consensus}.items():
        assert torch.equal(both.consensus[name], value), name
    apart = [*low.updates.values(), *high.updates.values()]
    assert len(both.updates) == len(apart) == 5
    for one, two in zip(both.updates.values(), apart, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_units_by_level() -> None:
    parameters = sent(0)["a"]
    assert units_of(BOTH, parameters) == [(LOW, 0), (LOW, 1), (HIGH, 0), (HIGH, 1), (HIGH, 2)]


def test_hyper_has_an_alpha_for_each_expert_of_each_level() -> None:
    last, new = sent(0)["a"], sent(1)["a"]
    updates = {4: {"high.weight": torch.ones(2, 2)}}
    before = Alphas((0.1, 0.2, 0.3, 0.4, 0.5), (0.0,) * 5)
    mine, alphas = move_and_add(BOTH, {"a": before}, {"a": new}, {"a": last}, updates)["a"]
    assert torch.allclose(mine["high.weight"][2], new["high.weight"][2] + 0.5)
    assert torch.equal(mine["high.weight"][:2], new["high.weight"][:2])
    assert torch.equal(mine["low.weight"], new["low.weight"])
    assert len(alphas.alpha) == 5


def test_pf_msmtrec_refuses_a_network_without_experts() -> None:
    declared = (Declaration("tower", Role.TOWER, (2, 2), "kaiming", unit_axis="task"),)
    with pytest.raises(UserError, match=r"the network declares none; choose another network .* or another method"):
        METHODS["pf-msmtrec"].settings().build(declared)
