"""A scenario's networks by themselves: encoded rows in, probabilities out, as a module that torch can export."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from msmtrec.base.parameters import Parameters
from msmtrec.evaluation.calibration import Calibration, Logistic, Steps
from msmtrec.evaluation.sampled import Sampled
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.predict import Stacked, Weights
from msmtrec.serving.predictor import Predictor


class Network(nn.Module):
    """[N, C] ids and [N, M] numerics of an encoder -> [N, tasks] probabilities, the mean over several models.

    Args:
        tasks: numbers of the tasks that are given out, in this order.
        maps: of each of them, its calibration.
        sampled: what was sampled of the training rows, and is taken back.
    """

    def __init__(
        self,
        models: Sequence[tuple[Model, Parameters]],
        tasks: Sequence[int],
        maps: Sequence[Calibration | None] = (),
        *,
        sampled: Sampled | None = None,
    ) -> None:
        super().__init__()
        self.maps = list(maps) if any(maps) else []
        self.sampled = sampled
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
        return cls(list(predictor.models.values()), tasks, predictor.maps, sampled=predictor.sampled).eval()

    def forward(self, ids: Tensor, numeric: Tensor) -> Tensor:
        ids, numeric = ids.unsqueeze(0), numeric.unsqueeze(0)
        scenario = torch.zeros(1, ids.shape[1], dtype=torch.int64)
        valid = torch.ones(1, ids.shape[1], dtype=torch.bool)
        found = []
        for model, names in zip(self.models, self.names, strict=True):
            split = model.layout.private_columns
            batch = Batch(ids[:, :, :split], ids[:, :, split:], numeric, scenario, valid=valid)
            parameters = {name: self.get_buffer(place) for name, place in names.items()}
            found.append(model.forward(parameters, Pass(batch))[0])
        if not self.maps and self.sampled is None:
            return _mean([torch.sigmoid(logits) for logits in found])[:, self.tasks]
        pairs = [self._chances(one.double()) for one in found]  # 1 - p as exact as p, however near to 1
        chances, against = (_mean([pair[side][:, self.tasks] for pair in pairs]) for side in (0, 1))
        columns = [
            chances[:, t] if one is None else _calibrated(one, chances[:, t], against[:, t])
            for t, one in enumerate(self.maps or [None] * len(self.tasks))
        ]
        return torch.stack(columns, 1).float()

    def _chances(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """[N, T] p and 1 - p of all rows; `evaluation.sampled` has the formula."""
        chances, against = torch.sigmoid(logits), torch.sigmoid(-logits)
        if self.sampled is None:
            return chances, against
        columns = [(chances[:, task], against[:, task]) for task in range(len(self.sampled.by))]
        for task, (kept, by) in enumerate(zip(self.sampled.kept, self.sampled.by, strict=True)):
            if by is not None:
                left_out = (1 / kept - 1) * against[:, by]
                down = against[:, task] + left_out
                columns[task] = chances[:, task] / (1 + left_out), down / (1 + left_out)
        return torch.stack([p for p, _ in columns], 1), torch.stack([q for _, q in columns], 1)


def _mean(found: list[Tensor]) -> Tensor:
    return sum(found[1:], start=found[0]) / len(found)


def _calibrated(one: Calibration, chances: Tensor, against: Tensor) -> Tensor:
    """[N] of p and of 1 - p, as `evaluation.calibration` has it."""
    if isinstance(one, Logistic):
        least = 1e-300  # whose logarithm exists
        log_p, log_q = (torch.log(part.clamp(min=least)) for part in (chances, against))
        return torch.sigmoid(one.a * log_p - one.b * log_q + one.c)
    assert isinstance(one, Steps)
    if len(one.p) == 1:
        return torch.full_like(chances, float(one.calibrated[0]))
    inside = chances.clamp(float(one.p[0]), float(one.p[-1]))
    starts, levels = torch.from_numpy(one.p), torch.from_numpy(one.calibrated)
    slopes = torch.from_numpy(np.diff(one.calibrated) / np.diff(one.p))
    place = (inside.unsqueeze(1) >= starts[1:-1]).sum(1)
    return levels[place] + slopes[place] * (inside - starts[place])


def program(predictor: Predictor) -> ExportedProgram:
    """A predictor's network for any number of rows (at least one)."""
    layout, rows = predictor.encoder.layout, {0: Dim("rows", min=1)}
    given = torch.zeros(3, layout.columns, dtype=torch.int32), torch.zeros(3, layout.floats)
    return torch.export.export(Network.of(predictor), given, dynamic_shapes=(rows, rows))
