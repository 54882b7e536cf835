"""A table of a scenario's own beside the shared one: their rows are added up."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.networks import NETWORKS
from models.small import LAYOUT, PRIVATE_ROWS, gradients, rows, scrambled
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.models.base import Model
from msmtrec.models.parts import RESIDUAL, SHARED, merged
from msmtrec.models.predict import predict


def both(name: str) -> tuple[Model, Parameters, Model]:
    """A network with the option, scrambled parameters, and the same one without it."""
    plain = NETWORKS[name]
    model, params = scrambled(plain.model_copy(update={"residual_embeddings": 0.3}))
    return model, params, plain.build(LAYOUT)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_reads_the_sum_of_two_tables(name: str) -> None:
    """The same bits as with their sum in one; and the shared table gets the gradient that it would."""
    model, params, plain = both(name)
    data, whole = rows(20), merged(params, 0.3)
    assert whole.keys() == plain.roles().keys() == params.keys() - {RESIDUAL}
    assert torch.equal(predict(model, params, data), predict(plain, whole, data))
    assert not torch.equal(predict(model, params, data), predict(plain, {**whole, SHARED: params[SHARED]}, data))
    (found, _), (wanted, _) = gradients(model, params, data), gradients(plain, whole, data)
    assert torch.allclose(0.3 * found[SHARED], found[RESIDUAL], rtol=1e-12)
    assert float(found[RESIDUAL].abs().max()) > 0
    for n, gradient in wanted.items():
        assert torch.equal(found[n], gradient), n


@pytest.mark.parametrize("name", NETWORKS)
def test_it_starts_as_zeros_and_changes_nothing_else_at_the_start(name: str) -> None:
    model, _, plain = both(name)
    one, other = (m.initialise(0, "a", PRIVATE_ROWS, torch.float32) for m in (model, plain))
    (mine,) = [d for d in model.declare() if d.name not in other]
    assert mine == Declaration(RESIDUAL, Role.RESIDUAL_EMBEDDING, tuple(other[SHARED].shape), "zeros")
    assert not one.pop(RESIDUAL).any()
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[n]) for n, value in one.items())


def test_without_shared_fields_there_is_none() -> None:
    private: Any = tuple(field for field in LAYOUT.fields if not field.shared)
    layout = type(LAYOUT)(private, 4, 0, LAYOUT.tasks, scenarios=LAYOUT.scenarios, within=LAYOUT.within)
    settings = NETWORKS["mmoe"].model_copy(update={"residual_embeddings": 0.3})
    assert settings.build(layout).declare() == NETWORKS["mmoe"].build(layout).declare()
