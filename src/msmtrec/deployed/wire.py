"""Questions and answers as bytes: JSON, and all tensors end to end. Nothing on the way back is ever executed."""

from __future__ import annotations

import json
from typing import Any

import torch

from msmtrec.base.garbage import no_search_for_cycles
from msmtrec.base.joined import joined, kinds_of, parted
from msmtrec.base.packing import pack, unpack
from msmtrec.deployed.messages import ASKED, Answer, Asked, Refused, kind_of
from msmtrec.deployed.talk import Frame

REFUSED = "refused"
_TENSORS = (
    *(torch.float64, torch.float32, torch.bfloat16, torch.float16),
    *(torch.int64, torch.int32, torch.int8, torch.bool),
)
_KINDS = {str(kind).removeprefix("torch."): kind for kind in _TENSORS}


def asked_frame(asked: Asked, run: str) -> Frame:
    """run: the name of the run that it is of: a node may take part in several."""
    return _frame(kind_of(asked), asked, run)


def answer_frame(asked: str, answer: Answer) -> Frame:
    """asked: what kind of question it answers."""
    return _frame(REFUSED if isinstance(answer, Refused) else asked, answer, "")


def read_asked(frame: Frame) -> tuple[str, Asked]:
    """(the run that it is of, the question). Raises: ValueError where it is no question of this version."""
    kind, header = _header(frame)
    if kind not in ASKED:
        raise ValueError(f"there is no question '{kind}'")
    run = header.get("run")
    if not isinstance(run, str) or not run:
        raise ValueError("a question of no run")
    found: Asked = _value(ASKED[kind][0], header, frame.body)
    return run, found


def read_answer(asked: str, frame: Frame) -> Answer:
    """Raises: ValueError where it is no answer to this kind of question, of this version."""
    kind, header = _header(frame)
    if kind not in (asked, REFUSED):
        raise ValueError(f"an answer to '{kind}', and '{asked}' was asked")
    found: Answer = _value(Refused if kind == REFUSED else ASKED[asked][1], header, frame.body)
    return found


def _frame(kind: str, value: Any, run: str) -> Frame:
    with no_search_for_cycles():
        tensors, plain = pack(value)
    kinds = [(str(dtype).removeprefix("torch."), shape) for dtype, shape in kinds_of(tensors).values()]
    header = json.dumps({"kind": kind, "run": run, "tensors": kinds, "plain": plain}, allow_nan=False)
    return Frame(header, joined(tensors).numpy().tobytes())


def _header(frame: Frame) -> tuple[str, Any]:
    try:
        found = json.loads(frame.header)
        return str(found["kind"]), found
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no message of msmtrec: {error}") from error


def _value(kind: type[Any], header: Any, body: bytes | bytearray) -> Any:
    """Sizes are looked at before anything is taken from the body."""
    try:
        said = [(_KINDS[name], [int(size) for size in shape]) for name, shape in header["tensors"]]
        if any(size < 0 for _, shape in said for size in shape):
            raise ValueError("a tensor of less than nothing")
        tensors = parted({str(number): one for number, one in enumerate(said)}, body)
        with no_search_for_cycles():
            return unpack(kind, tensors, header["plain"])
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"a message of another version, or damaged: {type(error).__name__}: {error}") from error
