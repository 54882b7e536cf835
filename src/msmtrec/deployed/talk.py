"""Frames over a socket of this machine. Without torch: whoever only carries them loads nothing else."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_LENGTHS = struct.Struct("!QQ")
_MOST_HEADER, _MOST_BODY = 1 << 30, 1 << 36


@dataclass(frozen=True)
class Frame:
    """A message: JSON, and the bytes that it speaks of."""

    header: str
    body: bytes | bytearray


def send(talk: socket.socket, frame: Frame) -> None:
    """Raises: OSError where the other end is gone."""
    header = frame.header.encode()
    talk.sendall(_LENGTHS.pack(len(header), len(frame.body)) + header)
    if frame.body:  # sending nothing fails where the other end has answered already, and gone
        talk.sendall(frame.body)


def receive(talk: socket.socket) -> Frame:
    """Raises: OSError or EOFError where the other end is gone; ValueError where it says what no message is."""
    header, body = _LENGTHS.unpack(_exactly(talk, _LENGTHS.size))
    if header > _MOST_HEADER or body > _MOST_BODY:
        raise ValueError(f"a message of {header} and {body} bytes")
    return Frame(_exactly(talk, header).decode(), _exactly(talk, body))


def _exactly(talk: socket.socket, count: int) -> bytearray:
    found, start = bytearray(count), 0
    view = memoryview(found)
    while start < count:
        read = talk.recv_into(view[start:], min(count - start, 1 << 20))
        if not read:
            raise EOFError("the other end is gone")
        start += read
    return found
