"""Settings of the local training and the rounds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from msmtrec.aggregation.balance import RULES
from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.config.train import Balance, FineTune, TrainSettings


@pytest.mark.parametrize(
    ("every", "rounds", "seconds", "due"),
    [
        (3, 2, 1e6, False),
        (3, 3, 0.0, True),
        ("2.5 s", 100, 2.4, False),
        ("2.5 s", 1, 2.5, True),
        ("30s", 1, 31.0, True),
    ],
)
def test_a_checkpoint_is_due_after_rounds_or_after_seconds(
    every: int | str, rounds: int, seconds: float, due: bool
) -> None:
    assert TrainSettings(local_steps=1, checkpoint_every=every).checkpoint_due(rounds, seconds) is due


@pytest.mark.parametrize(
    ("kind", "option", "least", "below", "most", "above"),
    [
        (FineTune, "rounds", 1, 0, None, None),
        (FineTune, "patience", 1, 0, None, None),
        (FineTune, "learning_rate", 1e-9, 0, None, None),
        (TrainSettings, "rounds", 1, 0, None, None),
        (TrainSettings, "patience", 1, 0, None, None),
        (TrainSettings, "local_epochs", 1e-9, 0, None, None),
        (TrainSettings, "local_steps", 1, 0, None, None),
        (TrainSettings, "batch_size", 1, 0, None, None),
        (TrainSettings, "learning_rate", 1e-9, 0, None, None),
        (TrainSettings, "weight_decay", 0, -1e-9, None, None),
        (TrainSettings, "participation", 1e-9, 0, 1, 1.001),
        (TrainSettings, "max_staleness", 0, -1, None, None),
        (TrainSettings, "held_out_limit", 50, 49, None, None),
        (TrainSettings, "threads", 1, 0, None, None),
        (TrainSettings, "top_k", 1e-9, 0, 0.999, 1),
        (Balance, "c", 0, -1e-9, None, None),
        (Balance, "alpha", 0, -1e-9, None, None),
        (Balance, "rate", 1e-9, 0, 1, 1.001),
        (TrainSettings, "checkpoint_every", 1, 0, None, None),
        (TrainSettings, "checkpoint_every", "0.5 s", "0 s", None, None),
    ],
)
def test_settings_have_bounds(kind: Any, option: str, least: Any, below: Any, most: Any, above: Any) -> None:
    length = {} if kind is not TrainSettings or option.startswith("local_") else {"local_steps": 1}
    if kind is Balance:
        length = {"rule": "cagrad" if option == "c" else "gradnorm"}
    for value in (least, most):
        assert value is None or getattr(kind(**length, **{option: value}), option) == value
    for value in (below, above):
        if value is not None:
            with pytest.raises(ValidationError, match=option):
                kind(**length, **{option: value})


def test_a_round_has_one_length() -> None:
    for length in ({}, {"local_steps": 1, "local_epochs": 1.0}):
        with pytest.raises(ValidationError, match="give either local_steps or local_epochs"):
            TrainSettings(**length)


@pytest.mark.parametrize("narrow", [{"wire": "float16"}, {"wire": "int8"}, {"top_k": 0.1}])
def test_only_float32_is_made_smaller_on_the_wire(narrow: dict[str, Any]) -> None:
    assert TrainSettings(local_steps=1, **narrow)
    with pytest.raises(ValidationError, match="wire and top_k make float32 smaller, not float64; leave one of them"):
        TrainSettings(local_steps=1, dtype="float64", **narrow)


def balance(raw: Any) -> TrainSettings:
    return build(TrainSettings, {"local_steps": 1, "balance": raw}, "train")


@pytest.mark.parametrize("name", RULES)
def test_a_rules_name_stands_for_it_with_its_defaults(name: str) -> None:
    by_name, by_group = balance(name), balance({"rule": name})
    assert by_name.balance.build() is not None
    assert by_name.model_dump(mode="json") == by_group.model_dump(mode="json")
    assert build(TrainSettings, by_name.model_dump(mode="json"), "train") == by_name  # as a run directory keeps it


def test_no_rule_is_the_default_and_builds_nothing() -> None:
    assert TrainSettings(local_steps=1).balance == balance("none").balance
    assert balance("none").balance.build() is None
    assert balance("none").model_dump(mode="json")["balance"] == "none"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("pcgard", "train.balance: unknown rule 'pcgard'; did you mean 'pcgrad'?"),
        ({"rule": "nash"}, "train.balance: unknown rule 'nash'; did you mean 'nash-mtl'?"),
        ({"c": 0.2}, "train.balance: c is an option of cagrad, not of none; remove it, or name the rule"),
        (
            {"rule": "mgda", "rate": 0.2},
            "train.balance: rate is an option of uncertainty and gradnorm, not of mgda; remove it, or name the rule",
        ),
        ({"rule": "gradnorm", "alhpa": 1}, "unknown config key 'train.balance.alhpa'; did you mean 'alpha'?"),
        (None, "train.balance: must be a rule's name, or a group such as {rule: cagrad, c: 0.4}, not None"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(raw: Any, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        balance(raw)
    assert str(error.value) == sentence


def test_a_ball_without_a_radius_is_a_caution() -> None:
    assert [*balance({"rule": "cagrad", "c": 0}).cautions()] == [
        "train.balance.c 0: cagrad is then the plain sum of the losses"
    ]
    assert [*balance("cagrad").cautions()] == []
