"""The table of names that a config may use."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from methods.helpers import method
from msmtrec.methods import METHODS
from msmtrec.methods.phases import LocalRound


def test_every_method_but_pooled_ones_and_ours_is_a_reference() -> None:
    assert {name for name, entry in METHODS.items() if entry.pooled} == {"pooled", "gbm-pooled"}
    assert {name for name, entry in METHODS.items() if entry.template} == {"pf-msmtrec"}
    assert {name for name, entry in METHODS.items() if not entry.reference} == {"pooled", "gbm-pooled", "pf-msmtrec"}


def test_what_fedavgs_neighbours_average() -> None:
    found = {name: entry.defaults["average"] for name, entry in METHODS.items() if entry.defaults}
    assert found == {"local": "nothing", "emb-only": "embeddings", "fedavg-all": "everything", "pooled": "nothing"}


@pytest.mark.parametrize("name", METHODS)
def test_local_training_has_the_contenders_rate_and_decay(name: str) -> None:
    phases = method(name).local(LocalRound(3, 0.25, 0.5))
    assert phases
    assert [(phase.rule.rate, phase.rule.decay) for phase in phases] == [(0.25, 0.5)] * len(phases)


@pytest.mark.parametrize(
    ("name", "option", "least", "below", "most", "above"),
    [
        ("fedavg", "clip", 1e-9, 0, None, None),
        ("scaffold", "global_rate", 1e-9, 0, None, None),
        ("ditto", "penalty", 0, -1e-9, None, None),
        ("fedprox", "penalty", 0, -1e-9, None, None),
        ("fedrep", "body_passes", 1e-9, 0, None, None),
        ("fedala", "rate", 1e-9, 0, None, None),
        ("fedala", "share", 1e-9, 0, 1, 1.001),
        ("fedala", "steady", 1e-9, 0, None, None),
        ("fedala", "losses", 2, 1, None, None),
        ("fedala", "passes", 1, 0, None, None),
        ("apple", "mixing_rate", 1e-9, 0, None, None),
        ("apple", "penalty", 0, -1e-9, None, None),
        ("apple", "penalty_rounds", 1, 0, None, None),
        ("mat-fl", "threshold", -0.99, -1, None, None),
        ("fedamp", "alpha", 1e-9, 0, None, None),
        ("fedamp", "sigma", 1e-9, 0, None, None),
        ("fedamp", "penalty", 0, -1e-9, None, None),
        ("feddwa", "neighbours", 1, 0, None, None),
        ("feddwa", "further_passes", 1e-9, 0, None, None),
        ("pfedme", "penalty", 1e-9, 0, None, None),
        ("pfedme", "inner_steps", 1, 0, None, None),
        ("pfedme", "rate", 1e-9, 0, None, None),
        ("pfedme", "beta", 1e-9, 0, None, None),
        ("fedmtl", "penalty", 0, -1e-9, None, None),
        ("fedhca2", "coordination", 0, -1e-9, None, None),
        ("fedhca2", "alpha", 0, -1e-9, 1, 1.001),
        ("fedhca2", "beta", 0, -1e-9, 1, 1.001),
        ("fedhca2", "hyper_rate", 0, -1e-9, None, None),
        ("item-mix", "similarity", 0, -1e-9, None, None),
        ("item-mix", "adapter_rate", 1e-9, 0, None, None),
        ("pf-msmtrec", "coordination", 0, -1e-9, None, None),
        ("pf-msmtrec", "penalty", 0, -1e-9, None, None),
        ("pf-msmtrec", "beta_start", 0, -1e-9, 1, 1.001),
        ("pf-msmtrec", "beta_keep", 0, -1e-9, 1, 1.001),
        ("pf-msmtrec", "tolerance", 0, -1e-9, None, None),
        ("pf-msmtrec", "alpha", 0, -1e-9, 1, 1.001),
        ("pf-msmtrec", "clip", 1e-9, 0, None, None),
    ],
)
def test_options_have_bounds(name: str, option: str, least: Any, below: Any, most: Any, above: Any) -> None:
    kind = METHODS[name].settings
    for value in (least, most):
        assert value is None or getattr(kind(**{option: value}), option) == value
    for value in (below, above):
        if value is not None:
            with pytest.raises(ValidationError, match=option):
                kind(**{option: value})
