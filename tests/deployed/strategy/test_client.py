"""A scenario's side: what stays at home, what is measured, and what is refused."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from msmtrec.base.errors import UserError

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from deployed.strategy.memory_grid import MemoryGrid
from deployed.strategy.two_layers import NAMES, TASKS, Net, Scenario, grid_of, net, strategy
from msmtrec.aggregation.personalization import BETAS
from msmtrec.deployed.strategy.measured import answer_offer
from msmtrec.deployed.strategy.records import Offered
from msmtrec.deployed.strategy.stacked import Stacked
from msmtrec.flower import answer, put, upload_of
from msmtrec.methods.base import Offer, OfferPart


def test_what_is_local_never_leaves_and_goes_on() -> None:
    own = [Scenario(name) for name in NAMES]
    grid = grid_of(own)
    strategy().start(grid, num_rounds=2)
    for message in (*grid.asked, *grid.answered):
        for record in message.content.array_records.values():
            assert "own" not in record
    for message in grid.answered:
        if message.metadata.message_type == "train":
            assert set(message.content["arrays"]) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    for one in own:
        assert not torch.equal(one.trained[0]["own"], net().state_dict()["own"])
        assert torch.equal(one.received[1]["own"], one.trained[0]["own"])


def test_every_scenario_s_reply_is_its_own() -> None:
    grid = grid_of([Scenario(name) for name in NAMES])
    strategy(preset="paper").start(grid, num_rounds=2)
    trains = [m for m in grid.asked if m.metadata.message_type == "train"]
    sent = [m.content["arrays"]["2.weight"].data for m in trains if m.metadata.group_id == "2"]
    assert len(set(sent)) == 3


OWN, OTHER = net(2), net(22)
STACKED = (
    Stacked("body", ("0.weight",), "layers", shape=(7, 5)),
    Stacked("head", ("2.weight",), "whole", shape=(2, 7)),
    Stacked("lift", ("2.bias",), "whole", shape=(2,)),
)


def offered(**changes: Any) -> Offered:
    state = OTHER.state_dict()
    parts = (
        OfferPart("experts", {"body": state["0.weight"].T.unsqueeze(0)}),
        OfferPart("towers", {"head": state["2.weight"], "lift": state["2.bias"]}, per_task=True),
    )
    return Offered(1, Offer(parts, **{"start": None, "keep": 0.7, **changes}), STACKED, TASKS)


def rows(known: tuple[int, int] = (200, 200)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(200, 5, generator=generator)
    half_way = mixed(OWN, "0.weight", 0.5)
    for task, beta in enumerate((0.25, 0.5)):
        half_way = mixed(mixed(half_way, "2.weight", beta, task), "2.bias", beta, task)
    with torch.no_grad():
        y = (half_way(x) > 0).float()
    for task, count in enumerate(known):
        y[count:, task] = torch.nan
    return x, y


def losses(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    found = functional.binary_cross_entropy_with_logits(model(x), y.nan_to_num(), reduction="none")
    found = found.where(~y.isnan(), torch.nan)
    return {task: found[:, number] for number, task in enumerate(TASKS)}


def mean_losses(model: nn.Module, x: Tensor, y: Tensor) -> list[float]:
    """By task."""
    with torch.no_grad():
        return [float(one.nanmean()) for one in losses(model, x, y).values()]


def mixed(model: Net, name: str, beta: float, task: int | None = None) -> Net:
    found = copy.deepcopy(model)
    own, other = found.state_dict()[name], OTHER.state_dict()[name]
    part = slice(None) if task is None else task
    with torch.no_grad():
        own[part] = torch.lerp(own[part], other[part], beta)
    return found


def best(found: list[float]) -> float:
    return BETAS[min(range(len(BETAS)), key=lambda number: found[number])]


@pytest.mark.parametrize("known", [(200, 200), (200, 120), (200, 49)])
def test_the_answer_is_the_best_mixture_by_its_own_loss(known: tuple[int, int]) -> None:
    """Experts first, one beta for all, by the mean over tasks; then each task's tower. Computed by hand."""
    x, y = rows(known)
    counting = [task for task in (0, 1) if known[task] >= 50]
    model = copy.deepcopy(OWN).train()
    found = answer_offer(model, offered(), lambda one: losses(one, x, y), TASKS, {})
    grid = [
        [mean_losses(mixed(OWN, "0.weight", beta), x, y)[task] for beta in BETAS] for task in (0, 1)
    ]  # [task][beta]
    experts = best([sum(grid[task][n] for task in counting) for n in range(len(BETAS))])
    assert found.answer.betas["experts"] == (experts,)
    assert found.answer.loss_own["experts"][0] == pytest.approx(
        sum(grid[task][0] for task in counting) / len(counting), abs=1e-7
    )
    after = mixed(OWN, "0.weight", experts)
    for task in (0, 1):
        if task in counting:
            tried = [mixed(mixed(after, "2.weight", beta, task), "2.bias", beta, task) for beta in BETAS]
            beta = best([mean_losses(one, x, y)[task] for one in tried])
        else:
            beta = 1.0  # nothing was measured: the consensus
        assert found.answer.betas["towers"][task] == beta
        assert found.answer.checked["towers"][task] == (task in counting)
        after = mixed(mixed(after, "2.weight", beta, task), "2.bias", beta, task)
    torch.testing.assert_close(model.state_dict(), after.state_dict())
    assert 0 < experts < 1
    assert model.training
    assert found.betas == dict(found.answer.betas)  # the first is taken as it is


def test_what_is_remembered_counts() -> None:
    x, y = rows()
    found = answer_offer(
        copy.deepcopy(OWN), offered(), lambda one: losses(one, x, y), TASKS, {"experts": (0.0,), "towers": (0.5, 0.5)}
    )
    fresh = answer_offer(copy.deepcopy(OWN), offered(), lambda one: losses(one, x, y), TASKS, {})
    assert found.answer.betas["experts"][0] == pytest.approx(0.3 * fresh.answer.betas["experts"][0])


def test_what_is_remembered_lies_in_the_context() -> None:
    """memory <- .7 memory + .3 choice, from the memory of the round before."""
    grid, found = grid_of([Scenario(name) for name in NAMES]), strategy()
    memories: list[list[float]] = []
    for number in (1, 2, 3):
        found.start(grid, num_rounds=number)
        kept = [json.loads(str(context.state["msmtrec"]["plain"]))["betas"] for context in grid.contexts.values()]
        memories.append([beta for one in kept for label in ("experts", "towers") for beta in one[label]])
    remembered = [1.0] * 9, *memories
    pairs = [pair for before, after in itertools.pairwise(remembered) for pair in zip(before, after, strict=True)]
    choices = [(after - 0.7 * before) / 0.3 for before, after in pairs]
    assert len(set(memories[0])) > 1
    assert all(min(abs(choice - beta) for beta in BETAS) < 1e-6 for choice in choices)


def test_a_task_that_the_scenario_lacks_gets_the_others_tower() -> None:
    x, y = rows()
    model = copy.deepcopy(OWN)
    found = answer_offer(model, offered(), lambda one: losses(one, x, y), ("click",), {})
    assert found.answer.betas["towers"][1] == 1.0
    assert torch.equal(model.state_dict()["2.weight"][1], OTHER.state_dict()["2.weight"][1])
    alone = answer_offer(copy.deepcopy(OWN), offered(), lambda one: {"click": losses(one, x, y)["click"]}, TASKS, {})
    assert alone.answer.betas["experts"] == found.answer.betas["experts"]


def test_a_mixture_that_has_no_loss_is_not_taken() -> None:
    x, y = rows()

    def broken(model: nn.Module) -> dict[str, Tensor]:
        apart = not torch.equal(model.state_dict()["0.weight"], OWN.state_dict()["0.weight"])
        return {task: one * (torch.nan if apart else 1) for task, one in losses(model, x, y).items()}

    assert answer_offer(copy.deepcopy(OWN), offered(), broken, TASKS, {}).answer.betas["experts"] == (0.0,)


def test_losses_are_asked_without_gradients_in_eval() -> None:
    x, y = rows()

    def seen(model: nn.Module) -> dict[str, Tensor]:
        assert not model.training
        assert not torch.is_grad_enabled()
        return losses(model, x, y)

    answer_offer(copy.deepcopy(OWN).train(), offered(), seen, TASKS, {})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"klick": torch.zeros(60)}, "a task of the held-out losses is 'klick'; did you mean 'click'?"),
        ({"click": torch.zeros(())}, r"held-out losses of 'click' have the shape \(\); they must be one for each row"),
        ({"click": torch.zeros(60), "like": torch.zeros(61)}, r"held-out losses of 'like' have the shape \(61,\)"),
    ],
)
def test_losses_that_are_none(given: dict[str, Tensor], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        answer_offer(copy.deepcopy(OWN), offered(), lambda _: given, TASKS, {})


@pytest.fixture(scope="module")
def played() -> MemoryGrid:
    grid = grid_of([Scenario("nl"), Scenario("be")])
    strategy({"0.*": "average", "2.*[task]": "tower", "own": "local"}, method="fedavg-all").start(grid, num_rounds=1)
    return grid


def test_uploads_that_are_refused_at_home(played: MemoryGrid) -> None:
    (message, *_) = [m for m in played.asked if m.metadata.message_type == "train"]
    model, context = net(), played.contexts[11]
    received = put(model, message, context)
    assert (received.round, received.tables, received.penalty(model)) == (1, ("0.weight", "0.bias"), 0.0)
    with pytest.raises(UserError, match=r"tasks is 'klick'; did you mean 'click'\?"):
        upload_of(model, received, rows=1, tasks=["klick"])
    with pytest.raises(UserError, match=r"touches is '0.wight'; did you mean '0.weight'\?"):
        upload_of(model, received, rows=1, touches={"0.wight": torch.ones(7)})


def test_an_offer_to_who_has_forgotten(played: MemoryGrid) -> None:
    grid = grid_of([Scenario(name) for name in NAMES])
    strategy().start(grid, num_rounds=1)
    (question, *_) = [m for m in grid.asked if "tensors" in m.content]
    fresh = grid_of([Scenario("nl")]).contexts[11]
    with pytest.raises(UserError, match="nothing is kept of the training; end that with `upload_of`"):
        answer(question, fresh, scenario="nl", model=net(), losses=lambda _: {})
