"""A scenario's networks by themselves: encoded rows in, probabilities out, as a module that torch can export."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from msmtrec.base.parameters import Parameters
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.predict import Stacked, Weights
from msmtrec.serving.predictor import Predictor


class Network(nn.Module):
    """[N, C] ids and [N, M] numerics of an encoder -> [N, tasks] probabilities, the mean over several models.

    Args:
        tasks: numbers of the tasks that are given out, in this order.
    """

    def __init__(self, models: Sequence[tuple[Model, Parameters]], tasks: Sequence[int]) -> None:
        super().__init__()
        self.models, self.tasks = [model for model, _ in models], list(tasks)
        self.names: list[dict[str, str]] = []
        for number, (model, parameters) in enumerate(models):
            held = Stacked(model, [Weights(parameters)]).parameters
            names = {name: f"model{number}__{name.replace('.', '__')}" for name in held}
            for name, place in names.items():
                self.register_buffer(place, held[name].float())
            self.names.append(names)

    @classmethod
    def of(cls, predictor: Predictor) -> Network:
        tasks = [predictor.encoder.layout.tasks.index(task) for task in predictor.tasks]
        return cls(list(predictor.models.values()), tasks).eval()

    def forward(self, ids: Tensor, numeric: Tensor) -> Tensor:
        ids, numeric = ids.unsqueeze(0), numeric.unsqueeze(0)
        scenario = torch.zeros(1, ids.shape[1], dtype=torch.int64)
        valid = torch.ones(1, ids.shape[1], dtype=torch.bool)
        found = []
        for model, names in zip(self.models, self.names, strict=True):
            split = model.layout.private_columns
            batch = Batch(ids[:, :, :split], ids[:, :, split:], numeric, scenario, valid=valid)
            parameters = {name: self.get_buffer(place) for name, place in names.items()}
            found.append(torch.sigmoid(model.forward(parameters, Pass(batch))[0]))
        return (sum(found[1:], start=found[0]) / len(found))[:, self.tasks]


def program(predictor: Predictor) -> ExportedProgram:
    """A predictor's network for any number of rows (at least one)."""
    layout, rows = predictor.encoder.layout, {0: Dim("rows", min=1)}
    given = torch.zeros(3, layout.columns, dtype=torch.int32), torch.zeros(3, layout.numeric)
    return torch.export.export(Network.of(predictor), given, dynamic_shapes=(rows, rows))
