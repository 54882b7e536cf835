"""Round checkpoints: everything comes back, whatever the scenarios are called, and a full disk is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.federation import checkpoint
from msmtrec.federation.checkpoint import Checkpoint, load, load_server, save, save_server
from msmtrec.federation.memory import Best, Memory
from msmtrec.federation.server import ServerState
from msmtrec.federation.standing import Kept, Standing
from msmtrec.methods.base import Reply
from msmtrec.methods.hyper import Alphas
from msmtrec.methods.pf_state import Held, PFState


def example() -> Checkpoint[PFState]:
    memories = {}
    for number, name in enumerate(("a", "a/p", "a/p/gate", "b c", "ü/%2F")):
        values = {"gate": torch.full((2,), float(number)), "p/gate": torch.full((3,), -float(number))}
        slots = {"model": values, "model.m": values, "anchor": {"gate": values["gate"]}}
        best = {name: Best(number, 0.5 + number / 100, values)}
        memories[Member(0, name)] = Memory(
            slots, {"rounds": number}, {"rounds": number}, frozenset({"model"}), betas={"experts": (0.5,)}, best=best
        )
    held = Held({"p": torch.ones(2)}, {"experts": Alphas((0.1,), (0.0,), {0: {"p": torch.ones(3)}})})
    server = ServerState(PFState({"p": torch.zeros(2)}, {}, {"a": held}), {"a": 3}, {"a": Reply({"model": {}})})
    standing = Standing({0: server}, 7, {0: {"a": 2}}, [0], kept={0: Kept(2, float("nan"), server)}, measured=False)
    return Checkpoint(standing, memories, {"metrics": 12})


def test_names_that_look_like_keys_do_not_mix(tmp_path: Path) -> None:
    wanted = example()
    save(tmp_path, wanted)
    found = load(tmp_path, PFState)
    assert found is not None
    assert found.journal == {"metrics": 12}
    assert (found.standing.round, found.standing.ended, found.standing.measured) == (7, [0], False)
    for member, memory in wanted.memories.items():
        back = found.memories[member]
        for slot, held in memory.slots.items():
            assert held.keys() == back.slots[slot].keys()
            assert all(torch.equal(value, back.slots[slot][name]) for name, value in held.items())
        assert (back.clocks, back.betas, back.apart) == (memory.clocks, memory.betas, memory.apart)
        (one,), (two,) = memory.best.values(), back.best.values()
        assert (one.round, one.score) == (two.round, two.score)
        assert all(torch.equal(value, two.parameters[name]) for name, value in one.parameters.items())
    assert found.standing.servers[0].held == {"a": 3}
    assert found.standing.servers[0].method.held["a"].alphas["experts"].given[0]["p"].tolist() == [1, 1, 1]
    assert found.standing.kept[0].score != found.standing.kept[0].score


def test_what_scenarios_hold_alike_is_written_once(tmp_path: Path) -> None:
    table = torch.zeros(1000, 8)
    memories = {
        Member(0, str(n)): Memory(
            {"model": {"t": table[:n]}, "whole": {"t": table}}, best={"": Best(1, 0.5, {"t": table})}
        )
        for n in range(50)
    }
    save(tmp_path, Checkpoint(Standing({}, 1), memories, {}))
    assert (tmp_path / "round-00001" / "tensors.safetensors").stat().st_size < 32_000 + 50 * 50 * 32
    found = load(tmp_path, PFState)
    assert found is not None
    one, two = found.memories[Member(0, "1")], found.memories[Member(0, "2")]
    assert one.slots["whole"]["t"] is two.slots["whole"]["t"] is one.best[""].parameters["t"]


@pytest.mark.parametrize("name", ["tensors.safetensors", "index.json"])
def test_a_damaged_checkpoint_is_one_sentence(name: str, tmp_path: Path) -> None:
    save(tmp_path, example())
    path = tmp_path / "round-00007" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        UserError, match=r"round-00007 is damaged .*remove that folder, then --resume starts this contender"
    ):
        load(tmp_path, PFState)


def test_what_a_kill_leaves_behind_is_neither_read_nor_in_the_way(tmp_path: Path) -> None:
    save(tmp_path, example())
    for name in ("round-00008.tmp", "round-00009"):  # half written, and without its index
        (tmp_path / name).mkdir()
        (tmp_path / name / "tensors.safetensors").write_bytes(b"half")
    (tmp_path / "round-00008.tmp" / "index.json").write_text("{}")
    (tmp_path / "round-00008.tmp" / "more").write_text("")
    found = load(tmp_path, PFState)
    assert found is not None
    assert found.standing.round == 7
    for journal in ({"metrics": 1}, {"metrics": 2}):  # the same round again takes the place of the first
        save(tmp_path, Checkpoint(Standing({}, 8), {}, journal))
    assert [path.name for path in tmp_path.iterdir()] == ["round-00008"]
    assert {path.name for path in (tmp_path / "round-00008").iterdir()} == {"tensors.safetensors", "index.json"}
    found = load(tmp_path, PFState)
    assert found is not None
    assert (found.standing.round, found.journal) == (8, {"metrics": 2})


def test_the_server_of_the_best_round_comes_back(tmp_path: Path) -> None:
    kept = example().standing.kept[0]
    save_server(tmp_path / "server" / "seed0.safetensors", kept)
    found = load_server(tmp_path / "server" / "seed0.safetensors", PFState)
    assert found.round == 2
    assert found.server.method.consensus["p"].tolist() == [0, 0]
    with pytest.raises(UserError, match=r"seed1.safetensors is missing or damaged"):
        load_server(tmp_path / "server" / "seed1.safetensors", PFState)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, example())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_slabs", full)
    with pytest.raises(UserError, match=r"cannot write the checkpoint .*free space, then continue with --resume"):
        save(tmp_path, Checkpoint(Standing({}, 8), {}, {}))
    found = load(tmp_path, PFState)
    assert found is not None
    assert found.standing.round == 7
