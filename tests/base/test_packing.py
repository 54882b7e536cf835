"""Plain data comes back as it went, whatever it is called; shared tensors are written once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pytest
import torch
from torch import Tensor

from msmtrec.base.member import Member
from msmtrec.base.packing import own_storage, pack, unpack
from msmtrec.base.roles import Policy

T = TypeVar("T")


@dataclass(frozen=True)
class Inner:
    values: Mapping[str, Tensor]
    policy: Policy = Policy.AVERAGE
    maybe: Tensor | None = None


@dataclass(frozen=True)
class Outer(Generic[T]):
    state: T
    by_member: Mapping[Member, tuple[float, ...]]
    numbers: Mapping[int, list[str]]
    pair: tuple[int, str]
    kinds: frozenset[str] = frozenset()
    free: Mapping[str, Any] = field(default_factory=dict)


def example() -> Outer[Inner]:
    shared = torch.arange(6.0).view(2, 3)
    inner = Inner({"a/b": shared, "a": shared[0], "ü": shared}, Policy.SUM, torch.zeros(0))
    members = {Member(0, "a"): (0.5, float("nan")), Member(1, "a/p"): (float("inf"),)}
    return Outer(inner, members, {1: ["x"], -2: []}, (3, "y"), frozenset({"b", "a"}), {"k": [1, None, "t"]})


def test_everything_comes_back_through_json() -> None:
    wanted = example()
    tensors, plain = pack(wanted)
    found = unpack(Outer[Inner], tensors, json.loads(json.dumps(plain, allow_nan=False)))
    assert found.by_member.keys() == wanted.by_member.keys()
    assert found.by_member[Member(1, "a/p")] == (float("inf"),)
    assert found.by_member[Member(0, "a")][1] != found.by_member[Member(0, "a")][1]
    assert (found.numbers, found.pair, found.kinds) == (wanted.numbers, wanted.pair, wanted.kinds)
    assert found.state.policy is Policy.SUM
    assert list(found.state.values) == ["a/b", "a", "ü"]
    assert all(torch.equal(value, found.state.values[name]) for name, value in wanted.state.values.items())
    assert found.state.maybe is not None


def test_a_tensor_that_stands_there_twice_is_written_once() -> None:
    tensors, plain = pack(example())
    assert len(tensors) == 3  # the table, its first row, the empty one
    found = unpack(Outer[Inner], tensors, plain)
    assert found.state.values["a/b"] is found.state.values["ü"]


@pytest.mark.parametrize("wrong", [{"values": []}, {"values": [], "policy": "sum", "maybe": None, "x": 1}, 3])
def test_other_fields_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="Inner needs"):
        unpack(Inner, {}, wrong)


def test_what_is_no_plain_data_is_refused() -> None:
    with pytest.raises(TypeError, match="function cannot be packed"):
        pack({"a": pack})


def test_files_get_tensors_of_their_own() -> None:
    whole = torch.arange(6.0).view(2, 3)
    found = own_storage({"whole": whole, "row": whole[1], "across": whole.T})
    assert found["whole"].data_ptr() == whole.data_ptr()
    assert found["row"].data_ptr() != whole[1].data_ptr()
    assert found["across"].is_contiguous()
    assert torch.equal(found["across"], whole.T)
