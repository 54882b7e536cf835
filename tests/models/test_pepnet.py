import pytest
import torch

from models.plain_scenarios import plain_pepnet
from models.small import LAYOUT, PRIVATE_ROWS, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.base.errors import UserError
from msmtrec.base.roles import Role
from msmtrec.models.pepnet import _gate
from msmtrec.models.predict import predict
from msmtrec.models.settings.pepnet import PEPNetSettings

SMALL = PEPNetSettings(embedding_dim=3, layers=(6, 5), gate_layer=4, prior=("item", "user"))


@pytest.mark.parametrize("prior", [(), ("item", "user")])
def test_equals_the_plain_reference_in_float64(prior: tuple[str, ...]) -> None:
    settings = SMALL.model_copy(update={"prior": prior})
    model, params = scrambled(settings)
    assert (predict(model, params, rows(12)) - plain_pepnet(LAYOUT, settings, params, rows(12))).abs().max() < 1e-10


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


def test_gates_start_near_one_and_stay_between_0_and_2() -> None:
    model, params = scrambled(SMALL)
    start = model.initialise(0, "a", PRIVATE_ROWS, torch.float64)
    x = torch.randn(1, 50, 22, dtype=torch.float64)
    name, own = "embedding_gate", torch.zeros(1, 50, 3, dtype=torch.float64)
    for held, near in ((start, 0.5), ({n: 30 * p for n, p in params.items()}, 1.0)):
        gate = _gate({n: p.unsqueeze(0) for n, p in held.items() if n.startswith(name)}, name, torch.cat([own, x], 2))
        assert float((gate - 1).abs().mean()) < near
        assert 0 <= float(gate.min()) < 1 < float(gate.max()) <= 2


def test_gates_train_prior_embeddings_and_no_others() -> None:
    """With W = 0 in the first layers and the gates' biases at work, only what steers the gates is seen: the prior."""
    for prior, reached in (((), False), (("user",), True)):
        model, params = scrambled(SMALL.model_copy(update={"prior": prior}))
        still = {**params, "task.0.weight": torch.zeros_like(params["task.0.weight"])}
        still["task.0.bias"] = params["task.0.bias"].abs() + 0.1
        found, _ = gradients(model, still, rows(40))
        assert (float(found["embedding"].abs().max()) > 0) is reached
        assert float(found["shared_embedding"].abs().max()) == 0
        assert float(found["task.0.gate.0.weight"].abs().max()) > 0


def test_what_is_no_feature_is_no_prior() -> None:
    with pytest.raises(UserError, match=r"model\.prior is 'itm'; did you mean 'item'\?"):
        PEPNetSettings(prior=("itm",)).build(LAYOUT)


def test_gates_are_gates_and_have_neither_norm_nor_dropout() -> None:
    declared = SMALL.build(LAYOUT).declare()
    assert {d.role for d in declared if "gate" in d.name} == {Role.GATE}
    assert [d.owners for d in declared if d.owners] == [LAYOUT.scenarios]
