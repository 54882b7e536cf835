"""The table of names that a config may use."""

from __future__ import annotations

from msmtrec.methods import METHODS


def test_every_method_but_the_pooled_one_and_ours_is_a_reference() -> None:
    assert {name for name, entry in METHODS.items() if entry.pooled} == {"pooled"}
    assert {name for name, entry in METHODS.items() if entry.template} == {"pf-msmtrec"}
    assert {name for name, entry in METHODS.items() if not entry.reference} == {"pooled", "pf-msmtrec"}


def test_what_fedavgs_neighbours_average() -> None:
    found = {name: entry.defaults["average"] for name, entry in METHODS.items() if entry.defaults}
    assert found == {"local": "nothing", "emb-only": "embeddings", "fedavg-all": "everything", "pooled": "nothing"}
