"""The loop that public trainers of multi-task recommenders run, written anew: what ours is measured against.

Form and defaults follow MTReclib's AliExpress benchmark: one embedding table with offsets, the numerics projected to
one more field, a list of expert networks and a list of towers of Linear, BatchNorm1d, ReLU and Dropout, a softmax gate
per task on the whole input, sigmoid and binary cross-entropy averaged over tasks; a DataLoader that collates single
rows, Adam over everything with a little weight decay, the loss read after every step. Run as a script it takes one
JSON object (`Settings`) and prints CPU seconds and rows.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from harness import begin
from made import TASKS, Made, made
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


@dataclass(frozen=True)
class Settings:
    """Args:
    embedding: width of every embedding.
    norm: batch normalisation after every hidden layer; dropout: rate behind it, 0 leaves the layer out.
    project: the numerics become one more field by a linear layer, as in the public form; else they stand beside the
        embeddings as they are, as in ours.
    vocabulary: a key of `made.VOCABULARIES`.
    steps: timed, after `warm` others.
    """

    embedding: int = 128
    norm: bool = True
    dropout: float = 0.2
    project: bool = True
    vocabulary: str = "small"
    experts: int = 8
    expert_layers: tuple[int, ...] = (512, 256)
    tower_layers: tuple[int, ...] = (128, 64)
    batch: int = 2048
    rate: float = 1e-3
    decay: float = 1e-6
    steps: int = 4
    warm: int = 1
    tasks: tuple[str, ...] = field(default=TASKS)


class RowByRow(Dataset):  # type: ignore[type-arg]
    """A row at a time."""

    def __init__(self, rows: Made) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[object, object, object]:
        return self.rows.codes[number], self.rows.numeric[number], self.rows.labels[number]


def mlp(width: int, layers: tuple[int, ...], settings: Settings) -> tuple[list[nn.Module], int]:
    """Hidden layers, and how wide the last one is."""
    found: list[nn.Module] = []
    for out in layers:
        found.append(nn.Linear(width, out))
        if settings.norm:
            found.append(nn.BatchNorm1d(out))
        found.append(nn.ReLU())
        if settings.dropout:
            found.append(nn.Dropout(settings.dropout))
        width = out
    return found, width


class Peer(nn.Module):
    """MMoE as lists of modules."""

    def __init__(self, sizes: tuple[int, ...], numerics: int, settings: Settings) -> None:
        super().__init__()
        d, fields = settings.embedding, len(sizes)
        self.register_buffer("starts", torch.tensor([0, *itertools.accumulate(sizes[:-1])]))
        self.table = nn.Embedding(sum(sizes), d)
        nn.init.xavier_uniform_(self.table.weight)
        self.project = nn.Linear(numerics, d) if settings.project else None
        width = (fields + 1) * d if settings.project else fields * d + numerics
        self.experts, self.towers, self.gates = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        mixed = width
        for _ in range(settings.experts):
            layers, mixed = mlp(width, settings.expert_layers, settings)
            self.experts.append(nn.Sequential(*layers))
        for _ in settings.tasks:
            layers, last = mlp(mixed, settings.tower_layers, settings)
            self.towers.append(nn.Sequential(*layers, nn.Linear(last, 1)))
            self.gates.append(nn.Sequential(nn.Linear(width, settings.experts), nn.Softmax(dim=1)))

    def forward(self, codes: Tensor, numeric: Tensor) -> list[Tensor]:
        """[B, 16], [B, 63] -> a probability [B] per task."""
        embedded = self.table(codes + self.starts).flatten(1)  # [B, 16 d]
        beside = numeric if self.project is None else self.project(numeric)
        x = torch.cat([embedded, beside], 1)
        experts = torch.stack([expert(x) for expert in self.experts], 1)  # [B, J, H]
        found = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            mixed = torch.bmm(gate(x).unsqueeze(1), experts).squeeze(1)  # [B, H]
            found.append(torch.sigmoid(tower(mixed).squeeze(1)))
        return found


def train(
    model: Peer,
    loader: DataLoader,  # type: ignore[type-arg]
    optimiser: torch.optim.Optimizer,
    steps: int,
) -> float:
    """So many steps; the mean loss."""
    criterion = nn.BCELoss()
    total = 0.0
    model.train()
    for codes, numeric, labels in itertools.islice(itertools.chain.from_iterable(itertools.repeat(loader)), steps):
        found = model(codes, numeric)
        loss = sum(criterion(one, labels[:, task]) for task, one in enumerate(found)) / len(found)
        model.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.item()
    return total / steps


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    settings = Settings(**{name: tuple(v) if isinstance(v, list) else v for name, v in asked.items()})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = made(settings.batch * (settings.steps + settings.warm), settings.vocabulary)
    model = Peer(rows.sizes, rows.numeric.shape[1], settings)
    loader: DataLoader = DataLoader(RowByRow(rows), batch_size=settings.batch, shuffle=True)  # type: ignore[type-arg]
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.rate, weight_decay=settings.decay)
    train(model, loader, optimiser, settings.warm)
    began = time.process_time()
    loss = train(model, loader, optimiser, settings.steps)
    return {"cpu": time.process_time() - began, "rows": settings.batch * settings.steps, "loss": loss}


def main(quick: bool) -> None:
    print(measure({"embedding": 16} if quick else {}))


if __name__ == "__main__":
    begin(main, measure)
