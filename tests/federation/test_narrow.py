"""What travels in place of float32: orders in halves, uploads as differences of which both ends keep what was said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from methods.helpers import method
from msmtrec import run
from msmtrec.base.coded import coded
from msmtrec.base.member import Member
from msmtrec.federation.memory import Memory, Shipment
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.narrow import PLAIN, Wire
from msmtrec.federation.traffic import Traffic
from msmtrec.methods.base import Offer, OfferPart, Reply, TableRows, Upload
from msmtrec.record.directory import read_lines

A, B = Member(0, "a"), Member(0, "b")
FIRST = torch.tensor([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]])
INT8, TOP, HALF = Wire("int8"), Wire("float32", 0.5), Wire("float16")


def upload(value: torch.Tensor, **more: Any) -> Upload:
    return Upload("a", 10, (True,), {"model": {"tower": value}}, **more)


def test_orders_go_in_halves_and_one_tensor_stays_one() -> None:
    counts = torch.tensor([3, 4])
    reply = Reply({"model": {"tower": FIRST, "counts": counts}})
    offer = Offer((OfferPart("towers", {"tower": FIRST}, keep="consensus"),), None, 0.7)
    orders = {A: Order(2, reply=reply, refresh=reply), B: Order(2, reply=reply, offer=offer)}
    found = HALF.narrowed(orders)
    first, second = found[A].reply, found[B].reply
    assert first is not None
    assert second is not None
    half = first.model["tower"]
    assert half.dtype is torch.float16
    assert second.model["tower"] is half
    assert found[A].refresh == first
    assert found[B].offer is not None
    assert found[B].offer.parts[0].parameters["tower"] is half
    assert found[B].offer.parts[0].keep == "consensus"
    assert first.model["counts"] is counts
    assert PLAIN.narrowed(orders) is orders
    assert TOP.narrowed(orders) is orders
    ship = Shipment(torch.device("cpu"))
    there = ship(first.slots)["model"]["tower"]
    assert there is ship(second.slots)["model"]["tower"]
    assert torch.equal(there, FIRST.half().float())


@pytest.mark.parametrize("wire", [INT8, TOP])
def test_both_ends_know_what_was_said(wire: Wire) -> None:
    memory, said = Memory({"model": {}}), None
    value, told = FIRST, []
    for number in range(12):
        sent, memory = wire.sent(upload(value), memory, whole=said is None)
        assert bool(sent.changes) == (number > 0)
        report, said = wire.received(Report(upload=sent), said)
        assert report.upload is not None
        assert report.upload.changes == {}
        assert torch.equal(report.upload.slots["model"]["tower"], memory.slots["model.said"]["tower"])
        told.append(report.upload.slots["model"]["tower"])
        value = FIRST + 1.0  # once, and then it stays there
    if wire is TOP:
        assert torch.equal(told[0], FIRST)
        assert (told[1] != told[0]).sum() == 3
        assert torch.allclose(told[2], FIRST + 1.0)
    assert not torch.allclose(told[1], FIRST + 1.0, atol=1e-5)
    assert torch.allclose(told[-1], FIRST + 1.0, atol=1e-6)


def test_after_what_could_not_be_used_all_is_said_again() -> None:
    sent, memory = INT8.sent(upload(FIRST), Memory({"model": {}}), whole=True)
    _, said = INT8.received(Report(upload=sent), None)
    assert said is not None
    again, later = INT8.sent(upload(FIRST + 1), memory, whole=True)
    assert again.changes == {}
    assert torch.equal(later.slots["model.said"]["tower"], (FIRST + 1).half().float())
    held = Report(refused="scenario 'a' sent 'tower' with NaN or infinite values")
    assert INT8.received(held, said) == (held, None)
    silent = Report()
    assert INT8.received(silent, said) == (silent, said)


def broken(**more: Any) -> Upload:
    return replace(upload(FIRST), **{"slots": {}, **more})


@pytest.mark.parametrize(
    "wrong, why",
    [
        (broken(changes={"model": {}}), "not of all that was said of 'model'"),
        (broken(changes={"other": {}}), "not of all that was said"),
        (broken(changes={"model": {"tower": coded(torch.ones(2, 2), "int8", None)}}), "for 6 entries"),
        (upload(FIRST, changes={"model": {"tower": coded(FIRST, "int8", None)}}), "not of all that was said"),
    ],
)
def test_a_difference_that_is_none_is_refused_and_forgotten(wrong: Upload, why: str) -> None:
    report, said = INT8.received(Report(upload=wrong), {"model": {"tower": FIRST}})
    assert (report.upload, said) == (None, None)
    assert str(report.refused).startswith("scenario 'a' sent a difference that is none: ")
    assert why in str(report.refused)


@pytest.mark.parametrize("wire, said", [(INT8, None), (PLAIN, {"model": {"tower": FIRST}})])
def test_a_difference_to_nothing_is_refused(wire: Wire, said: Any) -> None:
    report, _ = wire.received(Report(upload=broken(changes={"model": {"tower": coded(FIRST, "int8", None)}})), said)
    assert report.refused == "scenario 'a' sent a difference that is none: nothing was said before"


@pytest.mark.parametrize("wire", [HALF, INT8])
def test_what_is_beyond_a_half_is_held_back(wire: Wire) -> None:
    rows = TableRows(torch.tensor([1]), torch.tensor([2]), torch.full((1, 2), 7e4))
    for wrong in (upload(FIRST * 2e5), upload(FIRST, tables={"items": rows})):
        with pytest.raises(ValueError, match=r"scenario 'a' sent '(tower|items)' with values beyond float16"):
            wire.sent(wrong, Memory({"model": {}}), whole=True)


def test_bytes_are_those_that_travel() -> None:
    found = Traffic(method("fedavg"), INT8)
    found.replies([Reply({"model": {"tower": FIRST}})])
    assert found.down == {"tower": 12}
    sent, memory = INT8.sent(upload(FIRST), Memory({"model": {}}), whole=True)
    found.up_from(Report(upload=sent))
    assert found.up == {"tower": 12}
    sent, _ = INT8.sent(upload(FIRST), memory, whole=False)
    found.up_from(Report(upload=sent))
    assert found.up == {"tower": 12 + 6 + 8}  # a byte for each, and two scales


CONFIG: dict[str, Any] = {
    "name": "narrow",
    "data": {"source": "synthetic", "scenarios": 2, "rows": [500, 400], "users": 40, "items": 30},
    "train": {"rounds": 4, "local_steps": 3, "batch_size": 64, "threads": 1},
    "methods": {
        "plain": {"method": "pf-msmtrec"},
        "half": {"method": "pf-msmtrec", "train": {"wire": "float16"}},
        "coded": {"method": "pf-msmtrec", "train": {"wire": "int8", "top_k": 0.1}},
    },
    "seeds": 1,
}


def test_a_run_says_what_it_saved(tmp_path: Path) -> None:
    run(CONFIG, out=tmp_path / "run", cache=False, caution=lambda _: None)
    lines = {name: read_lines(tmp_path / f"run/contenders/{name}/rounds.jsonl") for name in CONFIG["methods"]}
    metrics = {name: read_lines(tmp_path / f"run/contenders/{name}/metrics.jsonl") for name in CONFIG["methods"]}
    up, down = ({n: [line[way] for line in own] for n, own in lines.items()} for way in ("bytes_up", "bytes_down"))
    for number in range(4):
        plain = up["plain"][number]
        for role, size in up["half"][number].items():
            assert size == plain[role] / (1 if role in ("touch counts", "mixtures") else 2), role
        assert all(2 * size == down["plain"][number][role] for role, size in down["half"][number].items())
        assert down["coded"][number] == down["half"][number]
    assert up["coded"][0] == up["half"][0]  # whole
    assert up["coded"][1]["tower"] < 0.17 * up["plain"][1]["tower"]  # a tenth, five bytes of four, and scales
    found = {n: [m["auc"] for m in own if m["stage"] == "after"] for n, own in metrics.items()}
    assert found["half"] != found["plain"]
    assert found["half"] == pytest.approx(found["plain"], abs=0.01)
    assert found["coded"] == pytest.approx(found["plain"], abs=0.1)
