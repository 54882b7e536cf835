"""Private experts: trained by every method, sent by none."""

from __future__ import annotations

import pytest
import torch

from methods.federation import MMOE, Case, Federation
from methods.helpers import aggregate, upload
from methods.passing import what_passes
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.methods import METHODS

NETWORK = MMOE.model_copy(update={"experts": 3, "private_experts": 1})


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if not entry.pooled])
def test_they_train_and_never_leave(name: str) -> None:
    found = Federation(Case(name), 2, network=NETWORK)
    private = {d.name for d in found.method.declarations if d.role is Role.EXPERT_PRIVATE}
    assert private == {"expert.0.weight.private", "expert.0.bias.private"}
    first = {member: memory.model for member, memory in found.runtime.memories.items()}
    passed = what_passes(found)
    assert not private & passed
    served = {m: memory.slots[found.method.served] for m, memory in found.runtime.memories.items()}
    for n in private:
        assert all(not torch.equal(own[n], first[member][n]) for member, own in served.items()), n
        one, two, _ = (own[n] for own in served.values())
        assert not torch.equal(one, two)


def test_two_scenarios_by_hand() -> None:
    """The federated expert becomes the mean, the private ones stay what each scenario made of them."""
    declared = (
        Declaration("expert.scenario", Role.EXPERT_SCENARIO, (1, 2), "zeros", unit_axis="expert"),
        Declaration("expert.private", Role.EXPERT_PRIVATE, (1, 2), "zeros", unit_axis="expert"),
    )
    held = {
        "a": {"expert.scenario": torch.tensor([[1.0, 0.0]]), "expert.private": torch.tensor([[5.0, 6.0]])},
        "b": {"expert.scenario": torch.tensor([[0.0, 1.0]]), "expert.private": torch.tensor([[7.0, 8.0]])},
    }
    settings = {"personalization": "uniform", "coordination": None, "towers": None}
    for m in (Case("fedavg").build(declared), Case("pf-msmtrec", settings).build(declared)):
        state = m.init({"expert.scenario": torch.zeros(1, 2)}, {"a": 4, "b": 4})
        outcome = aggregate(m, state, {name: upload(m, name, 4, slots={"model": own}) for name, own in held.items()})
        for name, own in held.items():
            after = {**own, **outcome.replies[name].model}
            assert after["expert.scenario"].tolist() == [[0.5, 0.5]]
            assert after["expert.private"] is own["expert.private"]
