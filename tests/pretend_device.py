"""A device that is not there: tensors on it are CPU tensors in disguise, and it refuses what CUDA would refuse.

`torch.device("meta")` stands for it. Inside `pretend_device()` whatever would be put there becomes a `There`, which
holds a CPU tensor and computes with it, so that a federation on this device gives the bits of one on the CPU. Tensors
of the CPU and of the device do not mix in one operation, but where CUDA takes both: 0-d tensors, copies, CPU indices.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

import msmtrec

DEVICE = torch.device("meta")
aten: Any = torch.ops.aten
SOURCE = Path(msmtrec.__file__).parent
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class There(Tensor):
    """A tensor on the device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> There:
        made: There = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=DEVICE
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on the pretend device outside of pretend_device()")

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def __repr__(self, *_: Any, **__: Any) -> str:
        return f"There({self.held!r})"


@dataclass(frozen=True)
class Transfer:
    """A tensor that went from one to the other.

    Args:
        up: to the device; else down to the host.
        held: its numbers on the device.
        place: function of the library that asked for it, as `module.function`.
    """

    up: bool
    held: Tensor
    place: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.held.numel() * self.held.element_size()


class Pretend(TorchDispatchMode):
    """While it is entered the device is there; enter it by `pretend_device`.

    Attributes:
        transfers: all, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transfers: list[Transfer] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        there = [value for value in tensors if isinstance(value, There)]
        device = kwargs.get("device")
        wanted = device is not None and torch.device(device) == DEVICE
        if any(value.is_meta and not isinstance(value, There) for value in tensors):
            raise RuntimeError(f"{func}: a tensor went to the device unseen")
        if not there and not wanted:
            return func(*args, **kwargs)
        home = {id(value.held): value for value in there}
        if func is aten.copy_.default:
            return self._copy(*args)
        inner, more = tree_map(_held, args), tree_map(_held, kwargs)
        if device is not None:
            more["device"] = torch.device("cpu")
        if func is aten._to_copy.default and device is not None:
            return self._moved(func, args[0], inner, more, wanted)
        if func is aten._local_scalar_dense.default:
            self._note(False, there[0].held)
            return func(*inner)
        if there and device is not None and not wanted:
            return func(*inner, **more)  # a new tensor on the host, shaped as one that is there
        self._check(func, args, kwargs)

        def back(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return home[id(value)] if id(value) in home else There(value)  # in place: what was given comes back

        return tree_map(back, func(*inner, **more))

    def _moved(self, func: Any, value: Tensor, inner: Any, more: Any, wanted: bool) -> Tensor:
        found = func(*inner, **more)
        if isinstance(value, There) != wanted:
            self._note(wanted, found if wanted else value.held)  # type: ignore[attr-defined]
        return There(found) if wanted else found

    def _copy(self, to: Tensor, source: Tensor, *more: Any) -> Tensor:
        if isinstance(to, There) != isinstance(source, There):
            self._note(isinstance(to, There), _held(to) if isinstance(to, There) else _held(source))
        _held(to).copy_(_held(source), *more)
        return to

    def _check(self, func: Any, args: Any, kwargs: Any) -> None:
        """Raises RuntimeError where tensors of the host and of the device mix."""
        for value in tree_flatten((args, kwargs))[0]:
            if isinstance(value, Tensor) and not isinstance(value, There) and value.dim() > 0:
                if func in INDEXING and isinstance(args[0], There) and any(value is index for index in args[1]):
                    self._note(True, value)
                    continue
                raise RuntimeError(f"{func}: expected all tensors to be on the same device, found one on the CPU")

    def _note(self, up: bool, held: Tensor) -> None:
        self.transfers.append(Transfer(up, held.detach(), _place()))


class _Made(TorchFunctionMode):
    """`torch.tensor` and lists as indices go to a device below where dispatch modes look; here by way of the host."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get("device") == DEVICE:
            return func(*args, **{**kwargs, "device": None}).to(DEVICE)
        if func is Tensor.tolist and isinstance(args[0], There):  # torch has no such list of a tensor in disguise
            return args[0].cpu().tolist()
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], There):
            args = (args[0], _there(args[1]), *args[2:])
        return func(*args, **kwargs)


@contextmanager
def pretend_device() -> Iterator[Pretend]:
    """The device is there; what is handed out has all transfers."""
    with Pretend() as found, _Made():
        yield found


def _there(index: Any) -> Any:
    """An index with its lists on the device."""
    if isinstance(index, tuple):
        return tuple(map(_there, index))
    return torch.tensor(index).to(DEVICE) if isinstance(index, list) else index


def _held(value: Any) -> Any:
    return value.held if isinstance(value, There) else value


def _place() -> str:
    """The innermost function of the library that is running."""
    frame: Any = sys._getframe()
    while frame is not None:
        path, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        if path.is_relative_to(SOURCE) and not name.startswith("<"):  # a comprehension is part of its function
            return f"{path.stem}.{name}"
        frame = frame.f_back
    return ""
