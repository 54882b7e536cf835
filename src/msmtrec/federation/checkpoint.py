"""Round checkpoints: safetensors for tensors (in slabs, `base.slabs`), JSON for the rest, complete or absent.

A checkpoint is a folder `round-00007`; it is written beside its final name, synced and renamed. The one before is
removed only afterwards, so a kill at any moment leaves one to resume from.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from msmtrec.base.errors import UserError
from msmtrec.base.garbage import no_search_for_cycles
from msmtrec.base.member import Member
from msmtrec.base.packing import on_host, pack, unpack
from msmtrec.base.slabs import read_slabs, write_slabs
from msmtrec.federation.memory import Memory
from msmtrec.federation.standing import Kept, Standing

S = TypeVar("S")
T = TypeVar("T")
TENSORS, INDEX = "tensors.safetensors", "index.json"


@dataclass(frozen=True)
class Checkpoint(Generic[S]):
    """Everything a run continues from after a round.

    Args:
        standing: of the federations.
        memories: every scenario's.
        journal: lengths of the files that are written line by line.
    """

    standing: Standing[S]
    memories: Mapping[Member, Memory]
    journal: Mapping[str, int]


def save(folder: Path, checkpoint: Checkpoint[Any]) -> None:
    """Write `folder/round-…`, then remove older ones. What several scenarios hold alike is written once.

    Raises:
        UserError: the folder cannot be written.
    """
    write_round(folder, checkpoint.standing.round, checkpoint)


def write_round(folder: Path, number: int, value: Any) -> None:
    """The same of what is gone on from elsewhere; errors as `save`."""
    target = folder / f"round-{number:05d}"
    write(target, value)
    for old in folder.glob("round-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def write(target: Path, value: Any) -> None:
    """Plain data and tensors as a folder, complete or absent; errors as `save`."""
    temporary = target.with_suffix(".tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with no_search_for_cycles():
            tensors, plain = pack(value)
        shapes = write_slabs(temporary / TENSORS, tensors)
        (temporary / INDEX).write_text(json.dumps({"shapes": shapes, "plain": plain}, allow_nan=False))
        for file in temporary.iterdir():
            _sync(file)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise UserError(
            f"cannot write the checkpoint {target}: {error}; free space, then continue with --resume"
        ) from error


def load(folder: Path, state_type: type[S]) -> Checkpoint[S] | None:
    """The newest complete checkpoint of a method with this state, or None.

    Raises:
        UserError: it is damaged.
    """
    path = newest(folder)
    if path is None:
        return None
    kind: Any = Checkpoint[state_type]  # type: ignore[valid-type]
    found: Checkpoint[S] = read(path, kind)
    return found


def read(path: Path, kind: type[T]) -> T:
    """What `write` has written; errors as `load`."""
    try:
        index = json.loads((path / INDEX).read_text())
        tensors = {str(n): tensor for n, tensor in enumerate(read_slabs(path / TENSORS, index["shapes"]))}
        with no_search_for_cycles():
            return unpack(kind, tensors, index["plain"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the checkpoint {path} is damaged ({type(error).__name__}: {error}); remove that folder, then --resume"
            " starts this contender anew"
        ) from error


def plain_of(path: Path) -> Any:
    """What `write` has written, less the tensors: fields by name; errors as `load`."""
    try:
        return json.loads((path / INDEX).read_text())["plain"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"the checkpoint {path} is damaged ({type(error).__name__}: {error}); remove that folder"
        ) from error


def round_of(folder: Path) -> int:
    """The round after which the newest complete checkpoint was written; 0 where there is none."""
    path = newest(folder)
    return 0 if path is None else int(path.name.removeprefix("round-"))


def newest(folder: Path) -> Path | None:
    """The folder of the last round that was written whole."""
    complete = sorted(p for p in folder.glob("round-*") if p.suffix != ".tmp" and (p / INDEX).exists())
    return complete[-1] if complete else None


def save_server(path: Path, kept: Kept[Any]) -> None:
    """The server of a round in one file, for scenarios that join a finished federation."""
    tensors, plain = pack(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(on_host(tensors), path, metadata={"plain": json.dumps(plain, allow_nan=False)})


def load_server(path: Path, state_type: type[S]) -> Kept[S]:
    """What `save_server` has written.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            plain = json.loads(file.metadata()["plain"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        kind: Any = Kept[state_type]  # type: ignore[valid-type]
        found: Kept[S] = unpack(kind, tensors, plain)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is missing or damaged; is its folder a finished run?") from error
    return found


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
