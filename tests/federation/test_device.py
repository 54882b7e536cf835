"""On a device: the CPU's bits, and what goes there and back. A pretend one, since machines that test have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from methods.federation import Case, Federation
from models.networks import NETWORKS as every
from msmtrec.base.member import Member
from msmtrec.base.packing import on_host
from msmtrec.config.parse import parse_config
from msmtrec.data.table import EncodedData
from msmtrec.experiment import sites
from msmtrec.experiment.contender import run_contender
from msmtrec.federation.best import validate
from msmtrec.federation.checkpoint import Checkpoint, load, save
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.star import STARSettings
from msmtrec.record.events import Event, Progress, ignore
from pretend_device import DEVICE, Pretend, There, Transfer, pretend_device

PAPER = {"embeddings": "local", "normalization": "tensor", "personalization": "hyper", "towers": "hyper"}
OTHERS = {name: every[name] for name in ("hinet", "m2m", "m3oe")}  # which make tensors of their own
CASES = {
    "recommended": Case("pf-msmtrec"),
    "anchored": Case("pf-msmtrec", {"penalty": 0.01}),
    "paper": Case("pf-msmtrec", {**PAPER, "penalty": 0.001}),
    "fedavg-all": Case("fedavg-all"),
    "scaffold": Case("scaffold", rate=0.05),
    "apple": Case("apple"),
    "ditto": Case("ditto", {"embeddings": "shared"}),
    "feddwa": Case("feddwa"),
    "fedmtl": Case("fedmtl", {"embeddings": "shared"}),
    "pfedme": Case("pfedme"),
    "item-mix": Case("item-mix"),
    "local": Case("local"),
    "ple": Case("fedrep"),
    "star": Case("fedavg-all"),
    **dict.fromkeys(OTHERS, Case("fedavg-all")),
}
NETWORKS = {
    "ple": PLESettings(embedding_dim=2, shared_experts=1, task_experts=2, expert_layers=(4,), dropout=0.3),
    "star": STARSettings(embedding_dim=2, layers=(5, 4), tower_layers=(), auxiliary_layer=3),
    **OTHERS,
}
DOWNLOAD, UPLOAD = "memory._moved", "scenario._upload"
UP = {
    DOWNLOAD: "what the server gave",
    "deck.touches": "numbers of this round's rows",
    UPLOAD: "numbers of the rows that leave",
    "batches.of": "numbers of a batch's rows and of their scenarios",
    "stack._dropout": "which activations stay",
    "packed.offsets": "where members' tables begin",
    "optimisers._group": "steps taken",
    "predict.batch": "validation rows",
    "held_out.__init__": "labels of held-out rows",
    "mixtures.read": "numbers of tasks",
    "personalization.mixture": "mixtures",
    "scaffold._new_control": "steps taken",
    "apple._mixture": "whose federation is whose",
    "item_mix.first_adapter": "networks that mix, as they begin",
}
DOWN = {
    UPLOAD: "what leaves",
    "by_scenario.of": "how many scenarios a batch has",
    "finite.all_finite": "whether what leaves has numbers only",
    "deck.touches": "ids of this round's rows",
    "stack.run": "losses of the last step",
    "predict.predict_each": "logits",
    "item_mix._merged": "how many rows of tables each scenario has",
    "held_out.__init__": "which tasks can be measured",
    "personalization.smooth_beta": "losses of mixtures, one number each",
    "personalization.check_beta": "losses of mixtures, one number each",
}
"""Function -> what it moves: nothing else moves anything, and slots move by download and upload only."""


def size(tensors: Iterable[Tensor]) -> int:
    """Bytes; a tensor that is there several times counts once."""
    return sum(value.numel() * value.element_size() for value in {id(value): value for value in tensors}.values())


def spent(transfers: Iterable[Transfer], up: bool, place: str) -> int:
    """Bytes in one direction, single numbers apart."""
    return sum(t.size for t in transfers if t.up == up and t.place == place and t.held.dim() > 0)


def received(order: Order) -> list[Tensor]:
    """What an order carries."""
    parts = order.offer.parts if order.offer is not None else ()
    replies = [reply.slots for reply in (order.reply, order.refresh) if reply is not None]
    found = [value for slots in replies for held in slots.values() for value in held.values()]
    return [*found, *(value for part in parts for value in part.parameters.values())]


def slots_of(memories: Iterable[Memory]) -> dict[int, str]:
    """Where the numbers of a slot lie -> its name."""
    return {
        value.untyped_storage().data_ptr(): f"{slot}/{name}"
        for memory in memories
        for slot, held in memory.slots.items()
        for name, value in held.items()
        if value.numel()
    }


class Watched:
    """An exchange that looks at every transfer."""

    def __init__(self, federation: Federation, device: Pretend) -> None:
        self.federation, self.device = federation, device
        self.moved: set[tuple[bool, str]] = set()

    def __call__(self, orders: Mapping[Member, Order]) -> Iterable[tuple[Member, Report]]:
        runtime, transfers = self.federation.runtime, self.device.transfers
        before = list(runtime.memories.values())
        transfers.clear()
        reports = dict(runtime(orders))
        names = slots_of([*before, *runtime.memories.values()])
        for one in transfers:
            assert one.place in (UP if one.up else DOWN), (one.up, one.place, one.held.shape)
            slot = names.get(one.held.untyped_storage().data_ptr())
            assert slot is None or one.held.dim() == 0 or one.place == (DOWNLOAD if one.up else UPLOAD), slot
        came = [value for order in orders.values() for value in received(order)]
        assert spent(transfers, True, DOWNLOAD) == size(came)  # what several get goes there once
        sent = [report.upload for report in reports.values() if report.upload is not None]
        left = [value for upload in sent for held in upload.slots.values() for value in held.values()]
        left += [rows.rows for upload in sent for rows in upload.tables.values()]
        assert spent(transfers, False, UPLOAD) == size(left)
        assert all(not isinstance(value, There) for value in left)
        self.moved |= {(one.up, one.place) for one in transfers}
        return reports.items()


@pytest.mark.parametrize("name", CASES)
def test_a_device_gives_the_cpus_bits_and_only_what_the_server_gave_or_gets_travels(name: str) -> None:
    """Three rounds with some scenarios away, so that some catch up."""
    network = NETWORKS.get(name)
    plain = Federation(CASES[name], 3, participation=0.7, network=network).run()
    with pretend_device() as device:
        found = Federation(CASES[name], 3, participation=0.7, network=network, device=DEVICE.type)
        watched = Watched(found, device)
        found.run(watched)
        for memory in found.runtime.memories.values():
            held = [value for tensors in memory.slots.values() for value in tensors.values()]
            held += [value for best in memory.best.values() for value in best.parameters.values()]
            assert all(isinstance(value, There) for value in held)
        served = {scenario: value.cpu() for scenario, value in found.served().items()}
    assert all(torch.equal(value, served[scenario]) for scenario, value in plain.served().items())
    assert found.journal.found == plain.journal.found
    assert {(True, "batches.of"), (False, "predict.predict_each")} < watched.moved
    assert ((False, UPLOAD) in watched.moved) == (name != "local")


@pytest.mark.parametrize("name", ["fedavg-all", "ditto"])
def test_evaluation_takes_rows_up_and_brings_logits_down(name: str) -> None:
    with pretend_device() as device:
        found = Federation(CASES[name], 2, device=DEVICE.type).run()
        device.transfers.clear()
        members = list(found.runtime.memories)
        list(validate(found.site, found.runtime.memories, members))
        rows = [len(found.site.data.tables[m.scenario].splits["validation"]) for m in members]
        down = [one for one in device.transfers if not one.up]
        assert {one.place for one in down} == {"predict.predict_each"}
        assert sum(one.size for one in down) == len(rows) * max(rows) * 2 * 8  # filled up, two tasks, float64
        assert {one.place for one in device.transfers if one.up} == {"predict.batch"}


def test_what_all_scenarios_begin_with_goes_there_once() -> None:
    with pretend_device() as device:
        found = Federation(CASES["fedavg-all"], 1, device=DEVICE.type)
        first = [value for memory in found.runtime.memories.values() for value in memory.slots["whole"].values()]
        assert len({id(value) for value in first}) == 1
        moved = spent(device.transfers, True, DOWNLOAD)
    alone = [memory.model["embedding"] for memory in found.runtime.memories.values()]
    common = [v for n, v in found.runtime.memories[Member(0, "scenario-0")].model.items() if "embedding" not in n]
    assert moved == size([*first[:1], *alone, *common])


@pytest.mark.parametrize("method", ["recommended", "fedavg-all", "apple"])
def test_a_contender_on_a_device_is_interrupted_resumed_and_fine_tuned_to_the_same_files(
    method: str, synthetic: EncodedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"method": "pf-msmtrec", "preset": "recommended"} if method == "recommended" else None
    contender = parse_config(
        {
            "data": {"source": "synthetic"},
            "train": {"rounds": 3, "local_steps": 3, "batch_size": 64, "checkpoint_every": 1},
            "fine_tune": {"rounds": 2},
            "methods": {method: settings},
        }
    ).contenders[0][0]

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 2:
            raise KeyboardInterrupt

    plain, there = tmp_path / "cpu" / method, tmp_path / "device" / method
    run_contender(contender, synthetic, (0, 1), plain, ignore, 1)
    monkeypatch.setattr(sites, "_device", lambda _: DEVICE)
    with pretend_device():
        with pytest.raises(KeyboardInterrupt):
            run_contender(contender, synthetic, (0, 1), there, stop, 1)
        assert (there / "checkpoint" / "round-00002").is_dir()
        run_contender(contender, synthetic, (0, 1), there, ignore, 1)
    files = sorted(path.relative_to(tmp_path / "cpu") for path in (tmp_path / "cpu").rglob("*") if path.is_file())
    same = [path for path in files if path.name != "rounds.jsonl"]  # which has seconds
    assert len(same) >= 2 * (6 + 2) + 2  # models, metrics, validation of two columns; the servers
    assert [p for p in same if (tmp_path / "device" / p).read_bytes() != (tmp_path / "cpu" / p).read_bytes()] == []


def test_a_checkpoint_brings_everything_down_once(tmp_path: Path) -> None:
    with pretend_device() as device:
        found = Federation(CASES["fedavg-all"], 2, device=DEVICE.type).run()
        device.transfers.clear()
        save(tmp_path, Checkpoint(found.standing, found.runtime.memories, {}))
        memories = found.runtime.memories.values()
        held = [value for memory in memories for tensors in memory.slots.values() for value in tensors.values()]
        held += [v for memory in memories for best in memory.best.values() for v in best.parameters.values()]
        distinct = {(v.data_ptr(), v.shape) if v.numel() else id(v): v for v in held}.values()
        assert sum(one.size for one in device.transfers) == size(distinct)
        back = load(tmp_path, found.method.state_type)
        assert back is not None
        for member, memory in found.runtime.memories.items():
            for slot, tensors in memory.slots.items():
                for name, value in tensors.items():
                    assert torch.equal(value.cpu(), back.memories[member].slots[slot][name])
        assert not any(isinstance(v, There) for memory in memories for v in on_host(memory.model).values())


def refused(compute: Any) -> None:
    with pytest.raises((RuntimeError, TypeError), match=r"same device|numpy|outside"):
        compute()


def test_the_pretend_device_refuses_what_cuda_refuses() -> None:
    with pretend_device() as device:
        there, here = torch.arange(6.0).view(2, 3).to(DEVICE), torch.ones(3)
        refused(lambda: there + here)
        refused(lambda: torch.cat([there, here.view(1, 3)]))
        refused(lambda: here[there[0].long()])
        refused(lambda: there.index_copy(0, torch.tensor([0]), there[:1]))
        refused(lambda: there.numpy())
        assert (there * torch.tensor(2.0)).cpu().tolist() == [[0, 2, 4], [6, 8, 10]]  # one number may come along
        assert there[torch.tensor([1])].cpu().tolist() == [[3, 4, 5]]  # and so may indices
        device.transfers.clear()
        assert float(there.sum()) == 15
        there.copy_(torch.zeros(2, 3))
        there[0].cpu()
        assert [(one.up, one.size) for one in device.transfers] == [(False, 4), (True, 24), (False, 12)]
    refused(lambda: there + 1)  # nothing goes on there once it is gone
