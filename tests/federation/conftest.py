"""Training rows that several tests share."""

from __future__ import annotations

import pytest
import torch

from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck


@pytest.fixture
def deck(synthetic: EncodedData) -> Deck:
    return Deck(synthetic, torch.float64, torch.device("cpu"))
