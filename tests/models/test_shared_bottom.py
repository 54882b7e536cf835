import pytest
import torch

from models.plain_tasks import plain_shared_bottom
from models.small import LAYOUT, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.models.predict import predict
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.settings.shared_bottom import SharedBottomSettings

SMALL = SharedBottomSettings(embedding_dim=3, layers=(6, 5), tower_layers=(4,))


@pytest.mark.parametrize("layers", [(6,), (6, 5)])
@pytest.mark.parametrize("towers", [(), (4,)])
def test_equals_the_plain_reference_in_float64(layers: tuple[int, ...], towers: tuple[int, ...]) -> None:
    settings = SMALL.model_copy(update={"layers": layers, "tower_layers": towers})
    model, params = scrambled(settings)
    data = rows(12)
    assert (predict(model, params, data) - plain_shared_bottom(LAYOUT, settings, params, data)).abs().max() < 1e-10


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


def test_is_mmoe_with_one_expert() -> None:
    model, params = scrambled(SMALL)
    other, names = MMoESettings(embedding_dim=3, experts=1, expert_layers=(6, 5), tower_layers=(4,)).build(LAYOUT), {}
    for d in other.declare():
        names[d.name] = d.name.replace("expert", "bottom").removesuffix(".scenario")
    moved = {n: params.get(name, torch.zeros(2, 22, 1, dtype=torch.float64)) for n, name in names.items()}
    assert torch.allclose(predict(other, moved, rows(9)), predict(model, params, rows(9)), atol=1e-12)
