"""Row weights reach every method and network, and no scenario's unit of weight is a learning rate or a vote."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from federation.test_device import CASES, NETWORKS
from federation.weighed import weighed
from methods import federation
from methods.federation import Case, Federation
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData
from msmtrec.methods import METHODS
from pretend_device import DEVICE, pretend_device

ALL = {name: Case(name) for name, entry in METHODS.items() if not entry.pooled} | CASES


def with_weights(data: EncodedData, units: tuple[float, ...]) -> EncodedData:
    """Weights 1 … 3 at random, in a unit of each scenario's own."""
    random, found = np.random.default_rng(0), {}
    for split in SPLITS:
        sizes = [len(table.splits[split]) for table in data.tables.values()]
        found[split] = random.integers(1, 4, sum(sizes)) * np.repeat(units, sizes)
    return weighed(data, found)


def trained(monkeypatch: pytest.MonkeyPatch, data: EncodedData, name: str, device: str = "cpu") -> Federation:
    monkeypatch.setattr(federation, "data", lambda: data)
    return Federation(ALL[name], 2, network=NETWORKS.get(name), device=device).run()


@pytest.mark.parametrize("name", ALL)
def test_weights_count_and_their_unit_does_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In losses, in mixtures on held-out rows, in the choice of the round, in the server's means: bit for bit."""
    plain = federation.data()
    one, two = (trained(monkeypatch, with_weights(plain, units), name) for units in ((1, 1, 1), (64, 1, 1 / 1024)))
    without = trained(monkeypatch, plain, name).served()
    for scenario, value in one.served().items():
        assert torch.equal(value, two.served()[scenario])
        assert not torch.allclose(value, without[scenario], atol=1e-6)
    assert str(one.journal.found) == str(two.journal.found)


@pytest.mark.parametrize("name", ["recommended", "paper", "star"])
def test_a_device_gives_the_cpus_bits_of_weighted_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_weights(federation.data(), (1, 2, 3))
    plain = trained(monkeypatch, data, name).served()
    with pretend_device():
        found = {n: value.cpu() for n, value in trained(monkeypatch, data, name, DEVICE.type).served().items()}
    assert all(torch.equal(value, found[scenario]) for scenario, value in plain.items())
