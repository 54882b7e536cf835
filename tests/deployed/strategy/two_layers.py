"""A plain two-layer network of somebody else's, and scenarios that train it their own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from torch import Tensor, nn
from torch.nn import functional

from deployed.strategy.memory_grid import MemoryGrid
from msmtrec.flower import MSMTrecStrategy, answer, put, upload_of

TASKS = ("click", "like")
ROLES = {"0.*": "expert.scenario", "2.*[task]": "tower", "own": "local"}
NAMES = ("nl", "be", "fr")
HELD_OUT = 200


class Net(nn.Sequential):
    """Two layers, and one number that never leaves."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2))
        self.own = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(x)
        return logits + self.own


def net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net()


@dataclass
class Scenario:
    """Rows of its own, and what it did."""

    name: str
    rows: int = 60
    tasks: Sequence[str] = TASKS
    make: Callable[[], nn.Module] = net
    touches: Mapping[str, Tensor] | None = None
    folder: Path | None = None
    trained: list[dict[str, Tensor]] = field(default_factory=list)
    received: list[dict[str, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(sum(map(ord, self.name)))
        count = self.rows + HELD_OUT
        self.x = torch.randn(count, 5, generator=generator)
        pull = torch.arange(10.0).view(5, 2).sin() + 0.3 * torch.randn(5, 2, generator=generator)
        self.y = (self.x @ pull + 2 * torch.randn(count, 2, generator=generator) > 0).float()
        for task, name in enumerate(TASKS):
            if name not in self.tasks:
                self.y[:, task] = torch.nan

    def losses(self, model: nn.Module, held_out: bool = True) -> dict[str, Tensor]:
        """Of every row, task by task."""
        part = slice(self.rows, None) if held_out else slice(self.rows)
        wanted = self.y[part]
        found = functional.binary_cross_entropy_with_logits(model(self.x[part]), wanted.nan_to_num(), reduction="none")
        found = found.where(~wanted.isnan(), torch.nan)
        return {task: found[:, number] for number, task in enumerate(TASKS) if task in self.tasks}

    def app(self) -> ClientApp:
        app = ClientApp()

        @app.train()
        def train(message: Message, context: Context) -> Message:
            model = self.make()
            received = put(model, message, context, folder=self.folder)
            self.received.append(copied(model))
            optimiser = torch.optim.SGD(model.parameters(), 0.5)
            for _ in range(3):
                loss = sum(one.mean() for one in self.losses(model, held_out=False).values())
                optimiser.zero_grad()
                (loss + received.penalty(model)).backward()
                optimiser.step()
            self.trained.append(copied(model))
            return upload_of(
                model,
                received,
                rows=self.rows,
                tasks=self.tasks,
                touches=self.touches,
                metrics={"loss": float(loss.detach())},
            )

        @app.query()
        def query(message: Message, context: Context) -> Message:
            return answer(
                message, context, scenario=self.name, model=self.make(), losses=self.losses, folder=self.folder
            )

        @app.evaluate()
        def evaluate(message: Message, context: Context) -> Message:
            model = self.make()
            put(model, message, context, folder=self.folder)
            with torch.no_grad():
                found = {f"loss-{task}": float(one.mean()) for task, one in self.losses(model).items()}
            return Message(RecordDict({"m": MetricRecord({**found, "num-examples": self.rows})}), reply_to=message)

        return app


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def grid_of(scenarios: Sequence[Scenario]) -> MemoryGrid:
    """Nodes 11, 12, … in their order."""
    return MemoryGrid({11 + number: scenario.app() for number, scenario in enumerate(scenarios)})


def strategy(roles: Mapping[str, str] = ROLES, **changes: Any) -> MSMTrecStrategy:
    given = {"tasks": TASKS, "scenarios": NAMES, "min_available_nodes": 1, "min_train_nodes": 1}
    return MSMTrecStrategy(net().state_dict(), roles, **{**given, "min_evaluate_nodes": 1, **changes})
