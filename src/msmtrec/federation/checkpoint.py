"""Round checkpoints: safetensors for tensors, JSON for the rest, complete or absent.

A checkpoint is a folder `round-00007` with server, clients and best models; it is written beside its final name, synced
and renamed. The one before is removed only afterwards, so a kill at any moment leaves one to resume from.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.federation.member import ClientState
from msmtrec.federation.server import ServerState
from msmtrec.methods.base import State


@dataclass(frozen=True)
class Best:
    """A scenario's best round on its own validation rows."""

    round: int
    score: float
    parameters: Parameters


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run continues from after a round."""

    round: int
    servers: dict[int, ServerState]
    clients: dict[Member, ClientState]
    best: dict[Member, Best]
    journal: dict[str, int]


def member_key(member: Member) -> str:
    return f"seed{member.seed}/{quote(member.scenario, safe='')}"


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `folder/round-…`, then remove older ones.

    Raises:
        UserError: the folder cannot be written.
    """
    target = folder / f"round-{checkpoint.round:05d}"
    temporary = target.with_suffix(".tmp")
    index: dict[str, Any] = {"round": checkpoint.round, "journal": checkpoint.journal}
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        tensors: Parameters = {}
        index["clients"], index["best"], index["servers"] = [], [], []
        for member, client in checkpoint.clients.items():
            groups = {"p": client.parameters, "m": client.first, "v": client.second, "a": client.anchors}
            for kind, group in groups.items():
                tensors |= {f"{member_key(member)}/{kind}/{name}": t for name, t in group.items()}
            index["clients"].append([member.seed, member.scenario, client.step, dict(client.betas)])
        for member, best in checkpoint.best.items():
            tensors |= {f"{member_key(member)}/best/{name}": t for name, t in best.parameters.items()}
            index["best"].append([member.seed, member.scenario, best.round, best.score])
        _write(tensors, temporary / "clients.safetensors")
        tensors = {}
        for seed, server in checkpoint.servers.items():
            tensors |= {f"seed{seed}/{name}": value for name, value in server.method.tensors.items()}
            index["servers"].append([seed, server.method.values, dict(server.held)])
        _write(tensors, temporary / "server.safetensors")
        (temporary / "index.json").write_text(json.dumps(index))
        for file in temporary.iterdir():
            _sync(file)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot write the checkpoint {target}: {error}; free space, then continue with --resume"
        ) from error
    for old in folder.glob("round-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def load(folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint, or None."""
    complete = sorted(p for p in folder.glob("round-*") if p.suffix != ".tmp" and (p / "index.json").exists())
    if not complete:
        return None
    path = complete[-1]
    index = json.loads((path / "index.json").read_text())
    tensors, server = load_file(path / "clients.safetensors"), load_file(path / "server.safetensors")
    clients = {}
    for seed, scenario, step, betas in index["clients"]:
        member = Member(seed, scenario)
        p, m, v, a = (_group(tensors, f"{member_key(member)}/{kind}/") for kind in "pmva")
        clients[member] = ClientState(p, m, v, step, a, {k: tuple(b) for k, b in betas.items()})
    best = {
        Member(seed, scenario): Best(number, score, _group(tensors, f"{member_key(Member(seed, scenario))}/best/"))
        for seed, scenario, number, score in index["best"]
    }
    servers = {
        seed: ServerState(State(_group(server, f"seed{seed}/"), values), held)
        for seed, values, held in index["servers"]
    }
    return Checkpoint(index["round"], servers, clients, best, index["journal"])


def _group(tensors: Mapping[str, Tensor], prefix: str) -> Parameters:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _write(tensors: Parameters, path: Path) -> None:
    # own storage for each: stacked members are views of one tensor
    save_file({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}, path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
