"""Values with tensors in them come out at the other end as they went in."""

from __future__ import annotations

from multiprocessing import Pipe
from threading import Thread
from typing import Any

import pytest
import torch

from msmtrec.base.member import Member
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report
from msmtrec.runtime import parcels


def there_and_back(value: Any, kind: Any) -> Any:
    one, other = Pipe()
    with one, other:
        sender = Thread(target=parcels.send, args=(one, value))  # a pipe holds little: somebody has to read
        sender.start()
        found = parcels.receive(other, kind)
        sender.join()
    return found


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(7, dtype=torch.int64),
        torch.arange(6).view(2, 3).t(),
        torch.tensor([1.5, float("nan"), float("-inf")], dtype=torch.float64),
        torch.linspace(0, 1, 9).bfloat16(),
        torch.tensor([True, False, True]),
        torch.tensor(3.0),
        torch.empty(0, 4),
        torch.ones(1).expand(5),
        torch.zeros(2, requires_grad=True),
    ],
    ids=str,
)
def test_every_tensor(tensor: torch.Tensor) -> None:
    first, found = there_and_back([torch.ones(3, dtype=torch.int8), tensor], list[torch.Tensor])
    assert torch.equal(first, torch.ones(3, dtype=torch.int8))
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(found.nan_to_num(), tensor.nan_to_num())


def test_one_tensor_stays_one_and_none_keeps_another_alive() -> None:
    table, other = torch.arange(1000.0), torch.ones(10)
    memories = {Member(0, name): Memory({"model": {"table": table, "own": other.clone()}}) for name in "ab"}
    found = there_and_back(memories, dict[Member, Memory])
    a, b = (found[Member(0, name)].slots["model"] for name in "ab")
    assert a["table"] is b["table"]
    assert a["own"] is not b["own"]
    assert a["own"].untyped_storage().nbytes() == 40
    assert a["table"].untyped_storage().nbytes() == 4000


def test_nothing_but_plain_values() -> None:
    assert there_and_back({Member(0, "a"): Report(refused="no")}, dict[Member, Report]) == {
        Member(0, "a"): Report(refused="no")
    }
    assert there_and_back({}, dict[Member, Order]) == {}


def test_somebody_who_is_gone() -> None:
    one, other = Pipe()
    other.close()
    with one, pytest.raises((EOFError, OSError)):
        parcels.receive(one, dict[Member, Order])
