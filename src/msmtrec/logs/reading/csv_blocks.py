"""A CSV without a header that comes as a stream of bytes, such as one inside an archive."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.chunks import first_line


def csv_blocks(stream: IO[bytes], name: str, columns: int, size: int = 1 << 25) -> Iterator[pl.DataFrame]:
    """A CSV without header as text columns column_1 …, in blocks of whole lines.

    Args:
        stream: bytes; read once, never held whole.
        columns: how many fields every line must have (values hold no commas).

    Raises:
        UserError: a line has another number of fields, or the bytes are no UTF-8.
    """
    rest, line, names = b"", 0, [f"column_{n}" for n in range(1, columns + 1)]
    while True:
        read = stream.read(size)
        block, rest = _whole_lines(rest + read, last=not read)
        if block:
            try:
                frame = pl.read_csv(io.BytesIO(block), has_header=False, infer_schema=False, quote_char=None)
            except pl.exceptions.PolarsError as error:
                _refuse_odd_line(block, name, line, columns)
                raise UserError(f"{name}: after line {line}: {first_line(error)}") from error
            if frame.width != columns or block.count(b",") != frame.height * (columns - 1):
                _refuse_odd_line(block, name, line, columns)
            line += frame.height
            yield frame.rename(dict(zip(frame.columns, names, strict=True)))
        if not read:
            return


def _refuse_odd_line(block: bytes, name: str, before: int, columns: int) -> None:
    for number, text in enumerate(block.splitlines(), before + 1):
        if text.count(b",") != columns - 1:
            raise UserError(f"{name}: line {number} has {text.count(b',') + 1} fields, not {columns}")


def _whole_lines(block: bytes, *, last: bool) -> tuple[bytes, bytes]:
    end = len(block) if last else block.rfind(b"\n") + 1
    return block[:end], block[end:]
