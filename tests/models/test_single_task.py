import pytest
import torch

from models.plain_tasks import plain_single_task
from models.small import LAYOUT, depends_on_the_batch, gradients, rows, scrambled, unread
from msmtrec.models.base import Pass
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.single_task import SingleTaskSettings

SMALL = SingleTaskSettings(embedding_dim=3, layers=(6, 5), tower_layers=(4,))


@pytest.mark.parametrize("layers", [(6,), (6, 5)])
def test_equals_the_plain_reference_in_float64(layers: tuple[int, ...]) -> None:
    settings = SMALL.model_copy(update={"layers": layers})
    model, params = scrambled(settings)
    data = rows(12)
    assert (predict(model, params, data) - plain_single_task(LAYOUT, settings, params, data)).abs().max() < 1e-10


def test_every_parameter_gets_a_gradient_and_predictions_do_not_depend_on_the_batch() -> None:
    model, params = scrambled(SMALL)
    assert unread(model, gradients(model, params, rows(64))[0]) == []
    assert depends_on_the_batch(model, params, rows(30)) < 1e-6


def test_a_tasks_loss_reaches_nothing_of_another_task() -> None:
    """Embeddings and attention included: they are split by columns and by the first axis."""
    model, params = scrambled(SMALL)
    leaves = {n: p.clone().requires_grad_() for n, p in params.items()}
    stacked = Stacked(model, [Weights(leaves)])
    with torch.enable_grad():
        logits = model.forward(stacked.parameters, Pass(stacked.batch([rows(40)]), training=True))
        found = torch.autograd.grad(logits[:, :, 0].square().sum(), list(leaves.values()))
    for name, gradient in zip(leaves, found, strict=True):
        own, other = gradient.split(3, 1) if name in ("embedding", "shared_embedding") else gradient
        assert own.abs().max() > 0, name
        assert other.abs().max() == 0, name
