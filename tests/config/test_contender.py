"""One training, one or two columns."""

from __future__ import annotations

from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.config.parse import Config, parse_config

BASE: dict[str, Any] = {"data": {"source": "synthetic"}, "train": {"rounds": 2, "local_steps": 3}}


def parsed(methods: Any, **more: Any) -> Config:
    return parse_config({**BASE, "methods": methods, **more})


def test_fine_tuning_is_common_or_a_contenders_own() -> None:
    methods = {
        "local": None,
        "off": {"method": "local", "fine_tune": False},
        "own": {"method": "local", "fine_tune": {"rounds": 4}},
        "on": {"method": "local", "fine_tune": True},
        "pooled": None,
    }
    config = parsed(methods, fine_tune={"patience": 7})
    found = {c.name: c.fine_tune and (c.fine_tune.rounds, c.fine_tune.patience) for (c,) in config.contenders}
    assert found == {"local": (15, 7), "off": None, "own": (4, 7), "on": (15, 7), "pooled": None}
    assert [column for (c,) in config.contenders for column in c.columns] == [
        "local", "local+ft", "off", "own", "own+ft", "on", "on+ft", "pooled"
    ]  # fmt: skip
    assert [c.columns for (c,) in parsed(["fedavg"]).contenders] == [("fedavg",)]


@pytest.mark.parametrize(
    ("methods", "more", "sentence"),
    [
        (["local"], {"fine_tune": 5}, r"^fine_tune must be true, false or a group of settings, not 5"),
        (["local"], {"fine_tune": {"round": 5}}, r"fine_tune.round'; did you mean 'rounds'\?"),
        ({"pooled": {"fine_tune": {}}}, {}, r"methods.pooled: a pooled model has no scenario to fine-tune to"),
        (
            {"local+ft": {"method": "local", "fine_tune": True}},
            {},
            r"methods.local\+ft: '\+ft' is for the column of fine-tuned models; call the contender 'local'",
        ),
    ],
)
def test_what_is_refused(methods: Any, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parsed(methods, **more)
