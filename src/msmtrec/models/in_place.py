"""What stands in a network's place: contenders without one."""

from __future__ import annotations

from msmtrec.data.table import Layout
from msmtrec.models.alone import HEAD, MEANS, Alone
from msmtrec.models.base import Model
from msmtrec.models.trees import TREES, Trees

IN_PLACE = (HEAD, MEANS, TREES)
"""Names in model files."""


def in_place(layout: Layout, name: str) -> Model:
    """name: of IN_PLACE."""
    return Trees(layout) if name == TREES else Alone(layout, name)
