"""Plain data for a wire or a disk: a dataclass becomes tensors and JSON, and comes back by its type hints.

Checkpoints, messages and model files use it. Tensors that share memory are written once, arrays of numpy are tensors
there. Nothing is ever executed on the way back: the reader says which type it expects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

Plain = Any
"""What JSON holds: None, bool, int, float, str, lists and mappings with text keys."""
Kind = TypeVar("Kind")


def pack(value: Any) -> tuple[dict[str, Tensor], Plain]:
    """(tensors by number, plain data that refers to them).

    Raises:
        TypeError: something in it is neither a dataclass, a collection, a tensor nor a plain value.
    """
    packer = _Packer()
    plain = packer.plain(value)
    return packer.tensors, plain


def unpack(kind: type[Kind], tensors: Mapping[str, Tensor], plain: Plain) -> Kind:
    """What `pack` was given, of the type `kind` (a parametrised generic where it is generic).

    Raises:
        ValueError: the data are not of that type.
    """
    found: Kind = _unpack(kind, tensors, plain, {})
    return found


class _Packer:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._known: dict[tuple[Any, ...], str] = {}

    def plain(self, value: Any) -> Plain:
        kind = type(value)  # most values by far are of these; the questions below are slow
        if kind is str or kind is int or kind is bool or value is None:
            return value
        if isinstance(value, Tensor):
            return self._tensor(value)
        if kind is np.ndarray:
            return self._tensor(torch.from_numpy(value))
        if kind is dict:
            return [[self.plain(key), self.plain(item)] for key, item in value.items()]
        if kind is tuple or kind is list:
            return [self.plain(item) for item in value]
        if is_dataclass(value) and not isinstance(value, type):
            return {field.name: self.plain(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, Mapping):
            return [[self.plain(key), self.plain(item)] for key, item in value.items()]
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)  # JSON has no nan
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Sequence | frozenset):
            return [self.plain(item) for item in (sorted(value) if isinstance(value, frozenset) else value)]
        raise TypeError(f"a {type(value).__name__} cannot be packed: {value!r}")

    def _tensor(self, value: Tensor) -> str:
        key = (value.data_ptr(), value.shape, value.stride(), value.dtype) if value.numel() else (id(value),)
        if key not in self._known:
            self._known[key] = str(len(self.tensors))
            self.tensors[self._known[key]] = value
        return self._known[key]


def _unpack(kind: Any, tensors: Mapping[str, Tensor], plain: Plain, names: Mapping[Any, Any]) -> Any:
    kind = names.get(kind, kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return plain
    if kind is Tensor:
        return tensors[plain]
    if origin is np.ndarray:
        return _array(arguments[1], tensors[plain])
    if origin in (Union, UnionType):
        if plain is None and NoneType in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return _unpack(inner, tensors, plain, names)
    if is_dataclass(origin or kind):
        return _dataclass(origin or kind, arguments, tensors, plain, names)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = arguments
        return {_unpack(key, tensors, k, names): _unpack(item, tensors, v, names) for k, v in plain}
    if origin is tuple:
        inner = arguments[0] if arguments[-1] is Ellipsis else None
        kinds = [inner] * len(plain) if inner is not None else list(arguments)
        return tuple(_unpack(k, tensors, item, names) for k, item in zip(kinds, plain, strict=True))
    if origin in (list, frozenset):
        return origin(_unpack(arguments[0], tensors, item, names) for item in plain)
    if origin is Literal:
        if plain not in arguments:
            raise ValueError(f"{plain!r} is none of {arguments}")
        return plain
    if kind is float:
        return float(plain)
    if isinstance(kind, type) and (issubclass(kind, Enum) or kind in (bool, int, str)):
        return kind(plain)
    raise ValueError(f"{kind} cannot be unpacked")


def _array(kind: Any, tensor: Tensor) -> np.ndarray[Any, Any]:
    """kind: np.dtype[...] of what is expected."""
    (wanted,), found = get_args(kind), tensor.numpy()
    if not np.issubdtype(found.dtype, wanted):
        raise ValueError(f"an array of {found.dtype}, not of {wanted.__name__}")
    return found


def _dataclass(
    kind: Any, arguments: tuple[Any, ...], tensors: Mapping[str, Tensor], plain: Plain, names: Mapping[Any, Any]
) -> Any:
    own = dict(zip(getattr(kind, "__parameters__", ()), (names.get(a, a) for a in arguments), strict=True))
    hints = get_type_hints(kind)
    expected = {field.name for field in fields(kind)}
    if not isinstance(plain, Mapping) or set(plain) != expected:
        found = sorted(plain) if isinstance(plain, Mapping) else plain
        raise ValueError(f"{kind.__name__} needs {sorted(expected)}, not {found}")
    return kind(**{name: _unpack(hints[name], tensors, plain[name], own) for name in expected})


def own_storage(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors that keep nothing else alive; copies only what is a view of something larger."""
    found = {}
    for name, value in tensors.items():
        tensor = value.detach().contiguous()
        whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        found[name] = tensor if whole else tensor.clone(memory_format=torch.contiguous_format)
    return found


def on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors, for files; copies only what is a view of something larger or lies on a device."""
    return own_storage({name: value.cpu() for name, value in tensors.items()})
