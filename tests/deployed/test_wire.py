"""Messages as bytes: what went comes back, and what is no message is refused before anything is done with it."""

from __future__ import annotations

import json
import math
import socket
import threading
from dataclasses import replace
from typing import Any

import pytest
import torch

from msmtrec.base.member import Member
from msmtrec.deployed.messages import Do, Done, Key, Know, Refused
from msmtrec.deployed.talk import Frame, receive, send
from msmtrec.deployed.wire import answer_frame, asked_frame, read_answer, read_asked
from msmtrec.evaluation.metrics import Measure
from msmtrec.federation.messages import Order, Report
from msmtrec.methods.base import Reply, Upload

MEMBER = Member(3, "NL")
ORDER = Order(2, reply=Reply({"model": {"a": torch.arange(5.0), "b": torch.tensor([[1.0], [2.0]]).T}}), train="rounds")
SENT = {"model": {"a": torch.ones(3, dtype=torch.float64), "n": torch.zeros(0)}}
UPLOAD = Upload("NL", 7, (True, False), SENT, tables={}, norm=0.1)
ASKED = Do(Key("ours"), 1, 2, 0, orders={MEMBER: ORDER})
DONE = Done({MEMBER: Report(upload=UPLOAD, measured=(Measure("NL", "click", math.nan, 0.5, rows=2, positives=1),))})


def test_a_question_comes_back_with_its_run() -> None:
    run, found = read_asked(asked_frame(ASKED, "a/run"))
    assert run == "a/run"
    assert isinstance(found, Do)
    order = found.orders[MEMBER]
    assert order.reply is not None
    assert ORDER.reply is not None
    for name, value in ORDER.reply.slots["model"].items():
        assert torch.equal(order.reply.slots["model"][name], value)
    assert replace(order, reply=None) == replace(ORDER, reply=None)
    assert (found.key, found.after, found.number, found.durable) == (Key("ours"), 1, 2, 0)


def test_an_answer_comes_back() -> None:
    found = read_answer("do", answer_frame("do", DONE))
    assert isinstance(found, Done)
    upload = found.reports[MEMBER].upload
    assert upload is not None
    assert torch.equal(upload.slots["model"]["a"], UPLOAD.slots["model"]["a"])
    assert upload.slots["model"]["a"].dtype is torch.float64
    assert upload.slots["model"]["n"].shape == (0,)
    assert math.isnan(found.reports[MEMBER].measured[0].auc)
    refused = Refused("user", "no")
    assert read_answer("do", answer_frame("do", refused)) == refused


def header(frame: Frame, **changes: Any) -> Frame:
    return Frame(json.dumps({**json.loads(frame.header), **changes}), frame.body)


FRAME = answer_frame("do", DONE)


@pytest.mark.parametrize(
    "frame",
    [
        Frame("", b""),
        Frame("[]", b""),
        Frame("[" * 100_000, b""),
        Frame('{"kind": "do"}', b""),
        Frame(FRAME.header, FRAME.body[:-1]),
        Frame(FRAME.header, FRAME.body + b"\0" * 8),
        header(FRAME, kind="know"),
        header(FRAME, tensors=[["float64", [1 << 60]], ["float32", [0]]]),
        header(FRAME, tensors=[["float64", [-3]], ["float32", [0]]]),
        header(FRAME, tensors=[["object", [3]], ["float32", [0]]]),
        header(FRAME, tensors=[]),
        header(FRAME, plain={}),
        header(FRAME, plain={"reports": [[{"seed": 3, "scenario": "NL"}, {"upload": 1}]]}),
        header(FRAME, plain={"reports": 7}),
        header(FRAME, plain=None),
    ],
)
def test_what_is_no_message_is_refused(frame: Frame) -> None:
    with pytest.raises(ValueError):
        read_answer("do", frame)
    with pytest.raises(ValueError):
        read_asked(frame)


@pytest.mark.parametrize("run", ["", None, 7])
def test_a_question_is_of_a_run(run: Any) -> None:
    """Its name is a folder of the node."""
    with pytest.raises(ValueError, match="a question of no run"):
        read_asked(header(asked_frame(ASKED, "run"), run=run))


def test_an_empty_body_is_not_sent() -> None:
    """The other end may have answered, and gone, when nothing is left to send: sending nothing then fails."""
    sent = list[bytes]()

    class Talk:
        def sendall(self, part: bytes) -> None:
            sent.append(part)

    send(Talk(), Frame("{}", b""))  # type: ignore[arg-type]
    assert all(sent)


def test_frames_pass_a_socket() -> None:
    here, there = socket.socketpair()
    frame = asked_frame(Know(Key("ours"), (), {"NL": 3}), "run")
    assert frame.body == b""
    large = Frame("é", bytes(range(256)) * 20_000)

    def answers() -> None:
        with there:
            for _ in range(2):
                send(there, receive(there))

    thread = threading.Thread(target=answers)
    thread.start()
    with here:
        for one in (large, frame):
            send(here, one)
            assert receive(here) == one
        thread.join()
        with pytest.raises((EOFError, OSError)):
            receive(here)


def test_a_length_that_no_message_has_is_refused() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.sendall(b"\xff" * 16)
        with pytest.raises(ValueError, match="a message of"):
            receive(there)
