"""Figures of others, as a config says them."""

from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.config.parse import parse_config

SCHEMA = Schema("made", (Feature("user"),), (Task("ctr"), Task("cvr")), {"NL": ("ctr", "cvr"), "FR": ("ctr",)})


def config_of(expected: Any, **more: Any) -> dict[str, Any]:
    return {
        "data": {"source": "synthetic"},
        "train": {"rounds": 2, "local_steps": 1},
        "methods": {"local": {}, "pooled": {}, "tuned": {"method": "emb-only", "fine_tune": True}},
        "expected": expected,
        **more,
    }


def test_what_is_said_is_kept_with_the_run() -> None:
    asked = {
        "source": "a README",
        "tolerance": 0.02,
        "figures": {"pooled": {"NL": {"ctr": 0.72}}, "tuned+ft": {"FR": {"ctr": 0.7}}},
    }
    config = parse_config(config_of(asked))
    assert config.expected is not None
    assert config.as_dict()["expected"] == asked
    assert parse_config(config.as_dict()).expected == config.expected
    assert "expected" not in parse_config(config_of(None)).as_dict()


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"pool": {"NL": {"ctr": 0.7}}}, "unknown config key 'expected.figures.pool'; did you mean 'pooled'"),
        ({"local+ft": {"NL": {"ctr": 0.7}}}, r"unknown config key 'expected.figures.local\+ft'"),
        (
            {"pooled": {"NL": {"ctr": 72.3}}},
            r"expected.figures.pooled.NL.ctr: Input should be less than or equal to 1 \(given: 72.3\)",
        ),
        ({"pooled": {"NL": 0.7}}, "expected.figures.pooled.NL must be a group of settings"),
        ({}, "expected.figures is empty; fill it, or remove it"),
        ({"pooled": {}}, "expected.figures.pooled is empty"),
        ({"pooled": {"NL": {}}}, "expected.figures.pooled.NL is empty"),
    ],
)
def test_refused_when_read(figures: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_config(config_of({"source": "a README", "figures": figures}))


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"NLD": {"ctr": 0.7}}, "unknown config key 'expected.figures.pooled.NLD'; did you mean 'NL'"),
        ({"NL": {"ctrr": 0.7}}, "unknown config key 'expected.figures.pooled.NL.ctrr'; did you mean 'ctr'"),
        ({"FR": {"cvr": 0.7}}, "unknown config key 'expected.figures.pooled.FR.cvr'"),
    ],
)
def test_refused_when_the_logs_are_known(figures: Any, sentence: str) -> None:
    expected = parse_config(config_of({"source": "a README", "figures": {"pooled": figures}})).expected
    assert expected is not None
    with pytest.raises(UserError, match=sentence):
        expected.check(SCHEMA)


def test_lines_that_are_there_pass() -> None:
    figures = {"pooled": {"NL": {"ctr": 0.7, "cvr": 0.6}, "FR": {"ctr": 0.7}}}
    expected = parse_config(config_of({"source": "a README", "figures": figures})).expected
    assert expected is not None
    expected.check(SCHEMA)
