"""Whatever the messages, the mathematics is that of `federation.server`, bit by bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from deployed.strategy.by_hand import NAMED, ByHand, theirs
from deployed.strategy.two_layers import NAMES, TASKS, Net, Scenario, grid_of, net, strategy
from msmtrec.deployed.strategy.records import tensors_of, unpacked
from msmtrec.flower import MSMTrecStrategy, put
from msmtrec.methods.base import Answer

CASES: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "recommended": ("pf-msmtrec", "recommended", {}),
    "normalised": ("pf-msmtrec", None, {"normalization": "channel", "beta_keep": 0.5, "clip": 1.0}),
    "paper": ("pf-msmtrec", "paper", {}),
    "uniform": ("pf-msmtrec", None, {"personalization": "uniform", "towers": "hyper"}),
    "penalty": ("pf-msmtrec", None, {"penalty": 0.1}),
    "fedavg": ("fedavg", None, {}),
    "fedavg clipped": ("fedavg", None, {"clip": 1.0}),
    "fedper": ("fedper", None, {}),
    "mat-fl": ("mat-fl", None, {"threshold": 1.5}),
    "fedhca2": ("fedhca2", None, {}),
}
ROUNDS = 4
AWAY = {2: "be"}
"""Round -> who is not there."""


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("case", CASES)
def test_every_round_is_the_server_s(case: str) -> None:
    method, preset, options = CASES[case]
    scenarios = [Scenario(name, 40 + 30 * number) for number, name in enumerate(NAMES)]
    scenarios[2].tasks = ("like",)
    scenarios[2].__post_init__()
    rows = {one.name: one.rows for one in scenarios}
    grid, hand = grid_of(scenarios), ByHand(method, preset, **options)
    found = strategy(method=method, preset=preset, options=options)
    leaves = {name for one in found.table.of(found.reader.leaving) for name in one.names}
    taken: set[float] = set()
    for number in range(1, ROUNDS + 1):
        there = [one for one in scenarios if one.name != AWAY.get(number)]
        grid.away = {11 + place for place, one in enumerate(scenarios) if one not in there}
        hand.begin_round([one.name for one in there])
        seen = len(grid.answered)
        found.start(grid, num_rounds=number)
        for one in there:
            expected = theirs(hand.held[one.name])
            assert same(*({key: state[key] for key in leaves} for state in (one.received[-1], expected)))
        offered = hand.aggregate({one.name: one.trained[-1] for one in there}, rows, fr=(False, True))
        if offered:
            answers = {}
            for message in grid.answered[seen:]:
                if "tensors" in message.content:
                    answers[scenarios[message.metadata.src_node_id - 11].name] = unpacked(Answer, message.content)
            assert set(answers) == set(offered)
            assert answers["fr"].betas.get("towers", (1.0,))[0] == 1.0  # a task that it lacks
            hand.settle(answers)
            taken |= {beta for answer in answers.values() for own in answer.betas.values() for beta in own}
            for place, one in enumerate(scenarios):
                if one in there:  # what it has mixed itself is what the server says that it holds
                    kept = tensors_of(grid.contexts[11 + place].state["msmtrec.network"])
                    assert same({key: kept[key] for key in leaves}, theirs(hand.held[one.name]))
        for name in NAMES:
            holds = found.federation.holds(name)["model"]
            assert same(dict(holds), {key: hand.held[name][NAMED[key]] for key in holds})
        assert found.diagnostics.keys() == hand.diagnostics.keys()
        assert repr(dict(found.diagnostics)) == repr({key: hand.diagnostics[key] for key in found.diagnostics})
    assert found.federation.standing.server.held == hand.state.held
    assert (0 in taken and any(0 < beta < 1 for beta in taken)) == (case in ("recommended", "normalised", "penalty"))
    assert len(leaves) == (2 if method in ("fedper", "mat-fl") else 4)


def test_averages_beside_what_is_coordinated() -> None:
    """`average`: by rows of scenarios; with touches, by how often a row was used, and only such rows leave."""
    roles = {"0.weight": "average", "0.bias": "average", "2.*[task]": "tower", "own": "local"}
    scenarios = [Scenario("nl", 100), Scenario("be", 300)]
    touches = [torch.tensor([3, 0, 1, 0, 0, 0, 0]), torch.tensor([1, 1, 0, 0, 0, 0, 0])]
    for one, own in zip(scenarios, touches, strict=True):
        one.touches = {"0.weight": own}
    grid, found = grid_of(scenarios), strategy(roles, method="fedavg-all")
    found.start(grid, num_rounds=1)
    first, (a, b) = net().state_dict(), (one.trained[0] for one in scenarios)
    weight = torch.stack([(3 * a["0.weight"][0] + b["0.weight"][0]) / 4, b["0.weight"][1], a["0.weight"][2]])
    holds = found.federation.holds("nl")["model"]
    torch.testing.assert_close(holds["0.weight"][:3], weight)
    assert torch.equal(holds["0.weight"][3:], first["0.weight"][3:])
    torch.testing.assert_close(holds["0.bias"][:, 0], (100 * a["0.bias"] + 300 * b["0.bias"]) / 400)
    assert holds["0.bias"].shape == (7, 1)
    sent = [message.content for message in grid.answered if "ids" in message.content]
    assert [record["ids"]["0.weight"].numpy().tolist() for record in sent] == [[0, 2], [0, 1]]
    assert [record["touches"]["0.weight"].numpy().tolist() for record in sent] == [[3, 1], [1, 1]]
    assert [record["arrays"]["0.weight"].shape for record in sent] == [(2, 5), (2, 5)]
    found.start(grid, num_rounds=2)
    assert torch.equal(scenarios[0].received[1]["0.bias"], holds["0.bias"][:, 0])


def test_the_penalty_is_the_method_s() -> None:
    """lambda |W - consensus|², which is what was offered, or the common start."""
    grid = grid_of([scenario := Scenario("nl"), Scenario("be")])
    found = strategy(method="pf-msmtrec", preset="paper", options={"penalty": 0.25})
    found.start(grid, num_rounds=2)
    asked = [m.content for m in grid.asked if m.metadata.message_type == "train" and m.metadata.dst_node_id == 11]
    assert set(asked[0]["anchor"]) == {"0.weight", "0.bias"}
    assert torch.equal(torch.from_numpy(asked[0]["anchor"]["0.weight"].numpy()), net().state_dict()["0.weight"])
    anchor = torch.from_numpy(asked[1]["anchor"]["0.weight"].numpy())
    consensus = found.federation.standing.server.method.consensus["0.weight"]
    assert not torch.equal(anchor, scenario.received[1]["0.weight"])
    assert consensus.shape == (1, 5, 7)

    model: Net = net()
    message = [m for m in grid.asked if m.metadata.message_type == "train" and m.metadata.dst_node_id == 11][1]
    received = put(model, message, grid.contexts[11])
    with torch.no_grad():
        model[0].weight += 1
    wanted = 0.25 * sum(
        (state - torch.from_numpy(asked[1]["anchor"][name].numpy())).square().sum()
        for name, state in model.state_dict().items()
        if name.startswith("0.")
    )
    torch.testing.assert_close(received.penalty(model), wanted)


class Normed(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 2))


def normed() -> Normed:
    torch.manual_seed(0)
    return Normed()


@pytest.mark.parametrize("method", ["fedavg", "fedbn", "pf-msmtrec"])
def test_batch_normalisation_travels_by_its_roles(method: str) -> None:
    """Running moments and counts are averaged by rows, or stay."""
    roles = {
        **{"0.*": "expert.scenario", "1.weight": "norm.affine", "1.bias": "norm.affine", "3.*[task]": "tower"},
        **{"1.running_*": "norm.statistics", "1.num_batches_tracked": "norm.statistics"},
    }
    own = [Scenario("nl", 60, make=normed), Scenario("be", 180, make=normed)]
    grid = grid_of(own)
    found = MSMTrecStrategy(normed().state_dict(), roles, tasks=TASKS, method=method)
    found.start(grid, num_rounds=2)
    first, second = (one.trained[0] for one in own)
    for name in ("1.running_mean", "1.num_batches_tracked", "1.weight"):
        now = own[0].received[1][name]
        mean = (60 * first[name].double() + 180 * second[name].double()) / 240
        torch.testing.assert_close(now, mean.to(now.dtype) if method == "fedavg" else first[name])
    sent = [set(m.content["arrays"]) for m in grid.answered if m.metadata.message_type == "train"]
    assert all(("1.running_var" in names) == (method == "fedavg") for names in sent)
