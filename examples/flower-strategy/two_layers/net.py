"""The network, and rows that are made up: three shops that want much the same, each in its own way."""

import torch
from torch import nn
from torch.nn import functional

SCENARIOS = ("nl", "be", "fr")
TASKS = ("click", "like")


class Net(nn.Module):
    """Two layers: one that all tasks read, and one for each task."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 16)
        self.towers = nn.ModuleDict({task: nn.Linear(16, 1) for task in TASKS})
        self.habit = nn.Parameter(torch.zeros(len(TASKS)))  # how often this shop's visitors click and like

    def forward(self, x):
        hidden = torch.relu(self.body(x))
        return torch.cat([tower(hidden) for tower in self.towers.values()], dim=1) + self.habit


def rows_of(scenario, count=300):
    """Features [count, 8] and labels [count, 2]."""
    draw = torch.Generator().manual_seed(SCENARIOS.index(scenario))
    taste = torch.arange(16.0).view(8, 2).sin() + 0.5 * torch.randn(8, 2, generator=draw)
    x = torch.randn(count, 8, generator=draw)
    return x, (x @ taste + torch.randn(count, 2, generator=draw) > 0.5).float()


def losses(model, x, y):
    """Of every row, task by task."""
    found = functional.binary_cross_entropy_with_logits(model(x), y, reduction="none")
    return {task: found[:, number] for number, task in enumerate(TASKS)}
