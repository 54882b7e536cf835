"""Every method with every network: a federation of three rounds, and what happens to buffers and owned slices."""

from __future__ import annotations

import pytest
import torch

from methods.federation import Case, Federation
from models.networks import NETWORKS
from msmtrec.base.errors import UserError
from msmtrec.methods import METHODS
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.star import STARSettings

PLE = PLESettings(embedding_dim=3, shared_experts=1, task_experts=1, expert_layers=(4, 3), tower_layers=())
STAR = STARSettings(embedding_dim=3, layers=(5,), tower_layers=(), auxiliary_layer=2)
FEDERATED = [name for name, entry in METHODS.items() if not entry.pooled]
RATE = 0.05


def case(name: str) -> Case:
    return Case(name, {}, {}, rate=RATE)


WITHOUT_EXPERTS = ["single-task", "esmm", "aitm", "pepnet"]
OTHERS = [name for name in NETWORKS if name not in ("mmoe", "ple", "star")]
KINDS = ["fedavg-all", "scaffold", "apple", "pf-msmtrec"]
"""Everything averaged, control variates, a composed network, units coordinated."""
PAIRS = [
    (name, NETWORKS[other]) for name in KINDS for other in OTHERS if name != KINDS[-1] or other not in WITHOUT_EXPERTS
]


@pytest.mark.parametrize(
    ("name", "network"), [*((name, network) for name in FEDERATED for network in (PLE, STAR)), *PAIRS]
)
def test_trains_and_everything_stays_finite(name: str, network: ModelSettings) -> None:
    found = Federation(case(name), 3, participation=0.7, network=network).run()
    moved = Federation(case(name), 2, participation=0.7, network=network).run().served()
    for scenario, value in found.served().items():
        assert bool(torch.isfinite(value).all())
        assert not torch.equal(value, moved[scenario])


@pytest.mark.parametrize("name", WITHOUT_EXPERTS)
def test_pf_msmtrec_refuses_what_has_no_experts_to_coordinate(name: str) -> None:
    with pytest.raises(
        UserError, match=r"pf-msmtrec coordinates experts of the role expert\.scenario, and the network"
    ):
        Federation(case("pf-msmtrec"), 1, network=NETWORKS[name])


@pytest.mark.parametrize("name", FEDERATED)
def test_each_scenarios_served_model_has_moments_of_its_own(name: str) -> None:
    """Positive, and moved by its own rows."""
    found = Federation(case(name), 3, network=STAR).run()
    for number, (member, memory) in enumerate(found.runtime.memories.items()):
        served = memory.whole(found.method.served, found.site.deck.used[member.scenario])
        variance = served["norm.own.variance"]
        assert bool((variance > 0).all())
        numeric = variance[number, -found.site.data.layout.numeric :]
        assert not bool((numeric == 1).all())
        assert float(served["norm.own.mean"][number].abs().max()) > 0


def test_control_variates_leave_owned_slices_to_their_owners() -> None:
    """SCAFFOLD moves a slice as FedAvg by plain gradient descent would: one scenario alone knows its gradient."""
    found = Federation(case("scaffold"), 3, network=STAR).run()
    for member, memory in found.runtime.memories.items():
        for d in found.method.declarations:
            if d.owners and d.trained:
                assert memory.slots["control"][d.name].abs().max() == 0, (member, d.name)
            elif d.name.startswith("star"):
                assert memory.slots["control"][d.name].abs().max() > 0, (member, d.name)


def test_a_rate_above_one_does_not_extrapolate_variances() -> None:
    one, two = (Federation(case("scaffold"), 1, network=STAR, global_rate=rate).run() for rate in (1.0, 2.0))
    for a, b in zip(one.runtime.memories.values(), two.runtime.memories.values(), strict=True):
        assert torch.equal(a.model["norm.own.variance"], b.model["norm.own.variance"])
        assert not torch.equal(a.model["star.0.weight"], b.model["star.0.weight"])
