"""Round checkpoints: everything comes back, whatever the scenarios are called, and a full disk is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.federation import checkpoint
from msmtrec.federation.checkpoint import Best, Checkpoint, load, save
from msmtrec.federation.member import ClientState
from msmtrec.federation.server import ServerState
from msmtrec.methods.base import State


def example() -> Checkpoint:
    clients, best = {}, {}
    for number, name in enumerate(("a", "a/p", "a/p/gate", "b c", "ü/%2F")):
        member = Member(0, name)
        values = {"gate": torch.full((2,), float(number)), "p/gate": torch.full((3,), -float(number))}
        clients[member] = ClientState(values, values, values, number, {"gate": values["gate"]}, {"experts": (0.5,)})
        best[member] = Best(number, 0.5 + number / 100, values)
    state = State({"last/a/p": torch.ones(2)}, {"alpha": {"a/experts": [0.1]}})
    return Checkpoint(7, {0: ServerState(state, {"a": 3})}, clients, best, {"metrics": 12})


def test_names_that_look_like_keys_do_not_mix(tmp_path: Path) -> None:
    wanted = example()
    save(tmp_path, wanted)
    found = load(tmp_path)
    assert found is not None
    assert (found.round, found.journal) == (7, {"metrics": 12})
    for member, client in wanted.clients.items():
        back = found.clients[member]
        for one, two in (
            (client.parameters, back.parameters),
            (client.second, back.second),
            (client.anchors, back.anchors),
            (wanted.best[member].parameters, found.best[member].parameters),
        ):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[name], two[name]) for name in one)
        assert (back.step, back.betas) == (client.step, client.betas)
    assert found.servers[0].method.tensors.keys() == {"last/a/p"}
    assert found.servers[0].held == {"a": 3}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error: no space")])
def test_a_full_disk_leaves_the_checkpoint_before(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, example())

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(UserError, match=r"cannot write the checkpoint .*free space, then continue with --resume"):
        save(tmp_path, Checkpoint(8, {}, {}, {}, {}))
    found = load(tmp_path)
    assert found is not None
    assert found.round == 7
