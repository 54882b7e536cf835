"""The public loop that the benchmarks measure against computes what our network computes, at equal weights."""

import pytest
import torch
from made import Made, encoded, made
from peer import Peer, Settings
from torch.nn.functional import binary_cross_entropy

from msmtrec.base.parameters import Parameters
from msmtrec.models.base import Pass
from msmtrec.models.mmoe import MMoE
from msmtrec.models.predict import Stacked, Weights
from msmtrec.models.settings.mmoe import MMoESettings

LAYERS = {"expert_layers": (12, 5), "tower_layers": (6, 3)}
SETTINGS = Settings(embedding=4, experts=3, norm=False, dropout=0.0, project=False, **LAYERS)


def ours() -> tuple[MMoE, Parameters, Made]:
    rows = made(64)
    model = MMoESettings(embedding_dim=4, experts=3, template=False, **LAYERS).build(encoded(rows).layout)
    return model, model.initialise(0, "one", sum(rows.sizes), torch.float64), rows


def peer_with(parameters: Parameters, rows: Made) -> tuple[Peer, dict[str, torch.nn.Parameter]]:
    """The peer with our weights, and its parameters by our names where one stands for one of ours."""
    peer = Peer(rows.sizes, rows.numeric.shape[1], SETTINGS).double()
    same = {"embedding": peer.table.weight}
    with torch.no_grad():
        peer.table.weight.copy_(parameters["embedding"])
        for kind, modules in (("expert", peer.experts), ("tower", peer.towers)):
            suffix = ".scenario" if kind == "expert" else ""
            for unit, sequence in enumerate(modules):
                linears = [layer for layer in sequence if isinstance(layer, torch.nn.Linear)]
                for n, linear in enumerate(linears):
                    linear.weight.copy_(parameters[f"{kind}.{n}.weight{suffix}"][unit].T)
                    linear.bias.copy_(parameters[f"{kind}.{n}.bias{suffix}"][unit])
        for task, gate in enumerate(peer.gates):
            gate[0].weight.copy_(parameters["gate"][task].T)
            gate[0].bias.zero_()
    return peer, same


def test_the_peers_forward_and_its_gradients_are_ours_at_equal_weights() -> None:
    model, parameters, rows = ours()
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    stacked = Stacked(model, [Weights(leaves)])
    logits = model.forward(stacked.parameters, Pass(stacked.batch([encoded(rows).whole["train"]])))[0]  # [B, T]
    peer, same = peer_with(parameters, rows)
    found = peer(torch.from_numpy(rows.codes), torch.from_numpy(rows.numeric).double())
    assert torch.allclose(torch.stack(found, 1), torch.sigmoid(logits), atol=1e-12)
    labels = torch.from_numpy(rows.labels).double()
    own = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(0).sum()
    theirs = sum(binary_cross_entropy(one, labels[:, task]) for task, one in enumerate(found))
    (wanted,) = torch.autograd.grad(own, [leaves["embedding"]])
    (gradient,) = torch.autograd.grad(theirs, [same["embedding"]])
    assert float(wanted.abs().max()) > 1e-4
    assert torch.allclose(gradient, wanted, atol=1e-12)


@pytest.mark.parametrize("norm", [True, False])
def test_the_public_form_has_the_layers_that_are_asked_for(norm: bool) -> None:
    rows = made(8)
    peer = Peer(rows.sizes, 63, Settings(embedding=4, experts=2, norm=norm, dropout=0.2 if norm else 0.0))
    kinds = [type(layer).__name__ for layer in peer.experts[0]]
    block = ["Linear", "BatchNorm1d", "ReLU", "Dropout"] if norm else ["Linear", "ReLU"]
    assert kinds == block * 2
    assert [type(layer).__name__ for layer in peer.towers[1]] == [*block, *block, "Linear"]
    assert peer.experts[0][0].in_features == 17 * 4  # the numerics are one more field


def test_made_rows_fit_their_tables() -> None:
    for vocabulary, total in (("small", 129), ("large", 219_109)):
        rows = made(500, vocabulary)
        data = encoded(rows)
        assert data.tables["one"].private_rows == sum(rows.sizes) == total
        ids = data.whole["train"].ids
        assert (ids >= rows.starts).all()
        assert (ids < rows.starts + rows.sizes).all()
        assert set(rows.labels.flatten().tolist()) == {0.0, 1.0}
        assert (rows.labels[:, 1] <= rows.labels[:, 0]).all()
