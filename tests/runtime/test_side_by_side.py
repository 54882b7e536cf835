"""Scenarios divided over processes: what one process computes, and what happens when another one is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.config.parse import parse_config
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.table import EncodedData
from msmtrec.experiment.here import begun
from msmtrec.experiment.sites import site_of
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.site import Site
from msmtrec.runtime.in_process import InProcess
from msmtrec.runtime.side_by_side import Clients, SideBySide, _joined, divided

CONFIG: dict[str, Any] = {
    "data": {"source": "synthetic", "scenarios": 3, "rows": [900, 400, 600], "users": 60, "items": 40},
    "train": {"rounds": 2, "local_steps": 5, "batch_size": 64, "dtype": "float64"},
    "methods": {"fedavg-all": None},
    "seeds": 2,
    "jobs": 1,
}
CONTENDER = parse_config(CONFIG).contenders[0][0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EncodedData:
    config = parse_config(CONFIG)
    return encode_all(config.data.load(), {"": Variant(share=True)}, cache=tmp_path_factory.mktemp("cache"))[""]


def in_process(data: EncodedData) -> InProcess:
    return begun(CONTENDER, site_of(CONTENDER, data), (0, 1))


@pytest.fixture(scope="module")
def clients(data: EncodedData) -> Iterator[SideBySide]:
    own = in_process(data)
    members = list(own.memories)
    with divided(own, [members[::2], members[1::2]], partial(site_of, CONTENDER, data)) as found:
        assert isinstance(found, SideBySide)
        yield found


TRAIN = Order(1, train="rounds", measure_trained=True)


def trained(clients: Clients, members: list[Member]) -> tuple[dict[Member, Report], dict[Member, Memory]]:
    return dict(clients(dict.fromkeys(members, TRAIN))), dict(clients.memories)


def test_they_train_as_in_one_process(clients: SideBySide, data: EncodedData) -> None:
    alone = in_process(data)
    members = list(alone.memories)
    assert set(clients.own.memories) == set(members[::2])
    (reports, memories), (expected, others) = trained(clients, members), trained(alone, members)
    assert list(reports) == members
    assert memories.keys() == others.keys()
    for member in members:
        assert memories[member].clocks == others[member].clocks
        for name, value in others[member].model.items():
            assert (memories[member].model[name] - value).abs().max() < 1e-10
        upload, other = reports[member].upload, expected[member].upload
        assert upload is not None
        assert other is not None
        assert upload.norm == pytest.approx(other.norm)
        assert [m.auc for m in reports[member].trained] == pytest.approx([m.auc for m in expected[member].trained])


def test_orders_to_one_share_alone(clients: SideBySide, data: EncodedData) -> None:
    members = list(in_process(data).memories)
    for share in (members[::2], members[1::2]):
        assert list(dict(clients(dict.fromkeys(share, Order(1, measure=0))))) == share


def test_seconds_are_those_of_the_slowest_share() -> None:
    a, b, c = (Member(0, name) for name in "abc")
    shares = [
        {a: Report(seconds={"train": 3.0})},
        {b: Report(seconds={"train": 1.0}), c: Report(seconds={"train": 4.0})},
    ]
    found = _joined(dict.fromkeys((c, a, b), TRAIN), shares)
    assert list(found) == [c, a, b]
    assert sum(report.seconds["train"] for report in found.values()) == pytest.approx(5)
    assert found[c].seconds["train"] == pytest.approx(4 * found[b].seconds["train"])


def test_what_a_worker_meets_is_raised_here(data: EncodedData) -> None:
    own = in_process(data)
    members = list(own.memories)
    with (
        pytest.warns(UserWarning, match="this machine is old"),
        pytest.raises(UserError, match="gone or damaged"),
        divided(own, [members[:3], members[3:]], partial(refuses, "cache is gone or damaged")),
    ):
        raise AssertionError("it began")


def refuses(sentence: str) -> Site:
    """Made in the worker."""
    warnings.warn("this machine is old", stacklevel=1)
    raise UserError(sentence)


def test_a_fault_of_a_worker_is_raised_with_its_traceback(clients: SideBySide) -> None:
    (worker,) = clients.workers
    worker.say("orders", {Member(7, "nobody"): TRAIN})
    with pytest.raises(RuntimeError, match=r"(?s)has 3 of the scenarios failed.*KeyError.*nobody"):
        worker.hear("orders")


def test_a_killed_worker_is_told_of_in_one_sentence(data: EncodedData) -> None:
    own = in_process(data)
    members = list(own.memories)
    with divided(own, [members[:3], members[3:]], partial(site_of, CONTENDER, data)) as clients:
        assert isinstance(clients, SideBySide)
        os.kill(clients.workers[0].talk.process.pid, signal.SIGKILL)
        with pytest.raises(UserError, match=r"trains 3 of the scenarios ended with exit code -9 .*--resume"):
            clients(dict.fromkeys(members, TRAIN))


ORPHAN = """
import os, signal
from msmtrec.runtime.side_by_side import _process
with _process() as talk:
    print(talk.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_ends_with_a_parent_that_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    worker, deadline = Path("/proc") / done.stdout.strip(), time.monotonic() + 30
    if not Path("/proc/self").exists():
        pytest.skip("no /proc on this system")
    while worker.exists() and "(zombie)" not in (worker / "status").read_text():
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.1)


def test_one_share_stays_in_this_process(data: EncodedData) -> None:
    own = in_process(data)
    threads = torch.get_num_threads()
    with divided(own, [list(own.memories)], partial(refuses, "never made")) as clients:
        assert clients is own
        clients(dict.fromkeys(own.memories, Order(1, measure=0)))
    assert torch.get_num_threads() == threads
