"""Whether a deployed run left behind what one process did, bit by bit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file

from msmtrec.record.directory import read_json, read_lines
from msmtrec.record.models import load_model


def columns(run: Path) -> list[str]:
    """Folders of all trainings, from the run's own."""
    return sorted(str(path.parent.relative_to(run)) for path in run.glob("contenders/**/validation.json"))


def same_as(together: Path, server: Path, nodes: Iterable[Path]) -> tuple[int, int]:
    """Compare run directories: metrics of every round, bytes sent, chosen rounds, test figures, models, servers.

    Returns:
        (tensors, lines and records) that were compared.
    """
    tensors = figures = 0
    both, found = (server, together), columns(together)
    assert columns(server) == found
    for column in found:
        for name in ("validation.json", "test.json"):
            if (together / column / name).exists():
                one, two = (read_json(run / column / name) for run in both)
                assert one == two, (column, name)
                figures += len(two)
        for name in ("metrics.jsonl", "rounds.jsonl"):
            one, two = ([{**line, "seconds": None} for line in read_lines(run / column / name)] for run in both)
            assert one == two, (column, name)
            figures += len(two)
        for path in (together / column / "models").iterdir():
            places = [node / path.relative_to(together) for node in nodes]
            (held,) = [place for place in places if place.exists()]
            (one, card), (two, other) = load_model(held), load_model(path)
            assert one.keys() == two.keys()
            assert all(torch.equal(value, two[name]) for name, value in one.items()), path
            assert card.round == other.round
            tensors += len(two)
    for path in together.glob("contenders/**/server/*.safetensors"):
        assert (server / path.relative_to(together)).read_bytes() == path.read_bytes()
        tensors += len(load_file(path))
    assert (server / "results.csv").read_text() == (together / "results.csv").read_text()
    return tensors, figures
