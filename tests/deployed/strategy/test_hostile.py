"""What a scenario may answer by mistake or on purpose: one line names it, and the round is as if it had been away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.clientapp import ClientApp

from msmtrec.base.errors import Diverged

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from deployed.strategy.test_going_on import trained_in
from deployed.strategy.test_same import same
from deployed.strategy.two_layers import NAMES, Scenario, grid_of, net, strategy
from msmtrec.flower import answer, put

ROLES = {"0.weight": "expert.scenario", "0.bias": "average", "2.*[task]": "tower", "own": "local"}


def arrays(**changes: Any) -> Callable[[Message], None]:
    """Changes of single arrays; None takes one away."""

    def change(message: Message) -> None:
        record = message.content["arrays"]
        for name, new in changes.items():
            key = name.replace("_", ".")
            if new is None:
                del record[key]
            else:
                record[key] = new if isinstance(new, Array) else Array(new(record[key].numpy().copy()))

    return change


def record(name: str, new: Any) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        message.content[name] = new

    return change


def lacking(name: str) -> Callable[[Message], None]:
    return lambda message: message.content.pop(name)


def spoilt(value: float) -> Callable[[Any], Any]:
    def change(found: Any) -> Any:
        found[0] = value
        return found

    return change


def rows(value: Any) -> Callable[[Message], None]:
    return record("metrics", MetricRecord({"num-examples": value}))


LIES: dict[str, tuple[Callable[[Message], None], str]] = {
    "shape": (arrays(**{"0_weight": lambda v: v[:, :-1]}), "sent '0.weight' of shape (7, 4), not (7, 5)"),
    "missing": (arrays(**{"2_bias": None}), "sent no '2.bias'"),
    "nan": (arrays(**{"2_weight": spoilt(np.nan)}), "sent '2.weight' with NaN or infinite values"),
    "inf": (arrays(**{"0_bias": spoilt(np.inf)}), "sent '0.bias' with NaN or infinite values"),
    "too large": (
        arrays(**{"2_bias": lambda v: v.astype(np.float64) + 1e300}),
        "sent '2.bias' with NaN or infinite values",
    ),
    "whole numbers": (arrays(**{"2_bias": lambda v: v.astype(np.int64)}), "sent '2.bias' as int64, not float32"),
    "complex": (arrays(**{"2_bias": lambda v: v.astype(np.complex64)}), "sent '2.bias' of complex numbers"),
    "text": (
        arrays(**{"2_bias": lambda v: np.array(["a", "b"])}),
        "sent '2.bias' in a form that cannot be read (TypeError)",
    ),
    "bytes": (
        arrays(**{"2_bias": Array("float32", (2,), "numpy.ndarray", b"PK\x03\x04 no array")}),
        "sent '2.bias' in a form that cannot be read (BadZipFile)",
    ),
    "no arrays": (lacking("arrays"), "sent no 'arrays'"),
    "no rows": (lacking("metrics"), "says that its rows, 'num-examples', are None"),
    "rows below 0": (rows(-5), "says that its rows, 'num-examples', are -5.0"),
    "rows that are none": (rows(float("nan")), "says that its rows, 'num-examples', are nan"),
    "far too many": (rows(10**15), "says that its rows, 'num-examples', are 1000000000000000.0"),
    "a list": (rows([1, 2]), "says that its rows, 'num-examples', are None"),
    "tasks": (record("msmtrec", ConfigRecord({"tasks": ["buy"]})), "says that its tasks are ['buy'], of click, like"),
    "ids": (
        lambda message: message.content.update(
            ids=ArrayRecord({"0.bias": Array(np.arange(1, 8))}), touches=ArrayRecord({"0.bias": Array(np.ones(7, int))})
        ),
        "sent '0.bias' with ids outside 0 … 6",
    ),
    "touches": (
        lambda message: message.content.update(
            ids=ArrayRecord({"0.bias": Array(np.arange(7))}), touches=ArrayRecord({"0.bias": Array(-np.ones(7, int))})
        ),
        "sent '0.bias' with counts below 0",
    ),
    "ids that are none": (
        lambda message: message.content.update(ids=ArrayRecord({"0.bias": Array(np.ones(7))})),
        "sent ids of '0.bias' that are no list of whole numbers",
    ),
    "ids alone": (
        lambda message: message.content.update(ids=ArrayRecord({"0.bias": Array(np.arange(7))})),
        "sent '0.bias' of shape (7,), which is not one row for each id and count",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), LIES.values(), ids=LIES)
def test_an_upload_that_cannot_be_used(
    change: Callable[[Message], None], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the second round."""
    own, fewer = ([Scenario(name) for name in NAMES] for _ in range(2))
    grid, found = grid_of(own), strategy(ROLES)
    found.start(grid, num_rounds=1)

    def lied(message: Message) -> Message:
        if message.metadata.message_type == "train":
            change(message)
        return message

    grid.change[12] = lied
    result = found.start(grid, num_rounds=2)
    assert {"loss/nl", "loss/be"} & set(result.train_metrics_clientapp[1]) == {"loss/nl"}
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert warned == [f"round 2: scenario 'be' {sentence}; the round goes on without it"]
    assert found.diagnostics["rejected"] == [f"scenario 'be' {sentence}"]
    other, without = grid_of(fewer), strategy(ROLES)
    without.start(other, num_rounds=1)
    other.change[12] = lambda message: None
    without.start(other, num_rounds=2)
    for name in ("nl", "fr", "be"):
        assert same(*(dict(one.federation.holds(name)["model"]) for one in (found, without)))


def test_a_mean_takes_numbers_alone() -> None:
    """Where the server forms sums, one that is no number would spoil all."""
    grid, found = grid_of([Scenario(name) for name in NAMES]), strategy(method="fedavg")
    nan = arrays(**{"2_weight": spoilt(np.nan)})
    grid.change[12] = lambda message: (nan(message) if "arrays" in message.content else None) or message
    found.start(grid, num_rounds=1)
    assert found.diagnostics["rejected"] == ["scenario 'be' sent '2.weight' with NaN or infinite values"]
    assert list(found.diagnostics["update_norms"]) == ["nl", "fr"]


def test_numbers_of_another_width_are_taken() -> None:
    grid, found = grid_of([Scenario(name) for name in NAMES]), strategy(ROLES)
    plain = arrays(**{"2_bias": lambda v: v.astype(np.float64)})
    grid.change[12] = lambda message: (plain(message) if "arrays" in message.content else None) or message
    found.start(grid, num_rounds=1)
    assert found.diagnostics["rejected"] == []
    assert found.federation.holds("be")["model"]["2.bias"].dtype == torch.float32


def test_nobody_s_update_can_be_used() -> None:
    grid, found = grid_of([Scenario("nl")]), strategy()
    grid.change[11] = lambda message: (rows(0)(message) if "arrays" in message.content else None) or message
    with pytest.raises(Diverged, match=r"round 1: 0 of 1 scenarios sent .* 1 must \(scenario 'nl' says that its rows"):
        found.start(grid, num_rounds=1)


def test_who_fails_is_named(caplog: pytest.LogCaptureFixture) -> None:
    grid, found = grid_of([Scenario(name) for name in NAMES]), strategy()
    whole = grid.apps[12]
    grid.apps[12] = ClientApp()  # knows no question
    found.start(grid, num_rounds=1)
    assert any(line.startswith("node 12 does not say which scenario it is: No query") for line in caplog.messages)
    assert list(found.diagnostics["update_norms"]) == ["nl", "fr"]
    grid.apps[12] = whole
    found.start(grid, num_rounds=2)
    assert list(found.diagnostics["update_norms"]) == ["nl", "be", "fr"]
    grid.apps[12] = ClientApp()
    found.start(grid, num_rounds=3)
    assert any(line.startswith("scenario 'be' failed: No train function") for line in caplog.messages)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("bee", "node 12 says that it is scenario 'bee'; did you mean 'be'?; it is left out"),
        ("nl", "node 12 says that it is scenario 'nl'; node 11 is that already; it is left out"),
        ("", "node 12 says that it is scenario ''; that is no name; it is left out"),
    ],
)
def test_scenarios_that_are_not_its_own(said: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    own = [Scenario(name) for name in NAMES]
    own[1].name = said
    grid, found = grid_of(own), strategy()
    found.start(grid, num_rounds=1)
    assert caplog.messages.count(why) >= 1
    assert list(found.diagnostics["update_norms"]) == ["nl", "fr"]
    assert own[1].trained == []


def test_a_name_is_free_again_when_its_node_is_gone() -> None:
    grid, found = grid_of([Scenario("nl"), Scenario("be"), Scenario("nl")]), strategy()
    found.start(grid, num_rounds=1)
    grid.away = {11}
    found.start(grid, num_rounds=2)
    assert trained_in(grid, 2) == [13, 12]


ANSWERS: dict[str, tuple[str, str]] = {
    '{"betas"': ('["betas"', "an answer that cannot be read (JSONDecodeError)"),
    '"betas": [["experts", [1.0]]': ('"betas": [["experts", [1.5]]', "takes a mixture outside 0 … 1"),
    '"betas": [["experts", [1.0]] ': ('"betas": [["experts", ["nan"]]', "takes a mixture outside 0 … 1"),
    '"betas": [["experts", [1.0]]  ': (
        '"betas": [["experts", [1, 1]]',
        "answers to something else than it was offered",
    ),
    '"checked"': ('"unchecked"', "an answer that cannot be read (ValueError)"),
}


@pytest.mark.parametrize(("old", "case"), ANSWERS.items())
def test_an_answer_to_an_offer_that_cannot_be_used(
    old: str, case: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The scenario keeps what it held; the others' round is whole."""
    (new, why), own = case, [Scenario(name) for name in NAMES]
    own[1].losses = lambda model, held_out=True: {} if held_out else Scenario.losses(own[1], model, False)  # type: ignore[method-assign]
    grid, found = grid_of(own), strategy()

    def lied(message: Message) -> Message:
        if "tensors" in message.content:
            text = str(message.content["msmtrec"]["plain"])
            assert old.strip() in text
            message.content["msmtrec"]["plain"] = text.replace(old.strip(), new, 1)
        return message

    grid.change[12] = lied
    found.start(grid, num_rounds=1)
    assert f"round 1: scenario 'be': {why}; it goes on without the consensus" in caplog.messages
    assert set(found.diagnostics["beta/experts"]) == {"nl", "fr"}
    assert torch.equal(found.federation.holds("be")["model"]["2.weight"], net().state_dict()["2.weight"])


def test_metrics_are_what_one_likes() -> None:
    """Means of numbers that are numbers, over those who have them."""
    grid, found = grid_of([Scenario("nl", 100), Scenario("be", 300), Scenario("fr")]), strategy()

    def change(metrics: dict[str, Any]) -> Callable[[Message], Message]:
        def changed(message: Message) -> Message:
            if message.metadata.message_type == "evaluate":
                message.content["m"] = MetricRecord(metrics)
            return message

        return changed

    grid.change = {
        11: change({"num-examples": 100, "auc": 0.5, "loss": float("nan"), "each": [1.0]}),
        12: change({"num-examples": 300, "auc": 0.75, "mine": 3}),
        13: change({"num-examples": -200, "auc": 1.0}),
    }
    result = found.start(grid, num_rounds=1)
    assert dict(result.evaluate_metrics_clientapp[1]) == {
        **{"auc": 0.6875, "mine": 3.0, "auc/nl": 0.5, "num-examples/nl": 100.0},
        **{"auc/be": 0.75, "mine/be": 3.0, "num-examples/be": 300.0},
        **{"auc/fr": 1.0, "num-examples/fr": -200.0},
    }
    grid.change = dict.fromkeys((11, 12, 13), lambda _: None)
    assert found.aggregate_evaluate(1, []) is None


def test_a_message_that_does_not_fit_the_network_is_refused() -> None:
    grid, found = grid_of([Scenario("nl"), Scenario("be")]), strategy()
    found.start(grid, num_rounds=1)
    (message, *_) = [m for m in grid.asked if m.metadata.message_type == "train"]
    with pytest.raises(Exception, match=r"'own' came with shape \(2,\), and the network has none"):
        put(torch.nn.Linear(5, 2), message, grid.contexts[12])
    (question, *_) = [m for m in grid.asked if "tensors" in m.content]
    with pytest.raises(Exception, match="give `answer` the network and a loss on held-out rows"):
        answer(question, grid.contexts[11], scenario="nl")
