"""Bodies of score requests and answers: rows as JSON or as an Arrow stream, and scores in the same kind.

JSON rows are a list of objects, not columns: a ranker has candidates one by one, a row that lacks a column is seen,
and nobody can send columns of different lengths. Who has columns already sends Arrow, which is several times faster.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from fastapi import Request
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect

from msmtrec.base.errors import nearest
from msmtrec.serving.http.batching import Scores
from msmtrec.serving.http.plain import Feeds
from msmtrec.serving.http.refused import Refused
from msmtrec.serving.http.scorer import Scorer
from msmtrec.serving.http.settings import Limits

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
MODEL = "msmtrec.model"
"""Key of the Arrow schema's metadata that says which model answered."""


@dataclass(frozen=True)
class Kind:
    """How rows come and scores go.

    Args:
        media: its media type.
        rows: body -> rows, and how many there are.
        feeds: of these rows.
        write: tasks, their scores and the model's identity -> body.
    """

    media: str
    rows: Callable[[bytes, int], tuple[Any, int]]
    feeds: Callable[[Scorer, Any], Feeds]
    write: Callable[[tuple[str, ...], Scores, Mapping[str, Any]], bytes]


def kind_of(request: Request) -> Kind:
    """What the request says its body is.

    Raises:
        Refused: neither JSON nor Arrow.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in KINDS:
        raise Refused(415, f"rows come as {' or '.join(KINDS)}, not as '{media}'", "content type")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "bodies come without Content-Encoding; Arrow has compression of its own", "content type")
    return KINDS[media]


async def read(request: Request, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        Refused: it is too large, too slow, or its client has left.
    """
    said = request.headers.get("content-length", "")
    parts, size = [], 0
    try:
        if said.isdigit():
            _check_size(int(said), limits)
        async with asyncio.timeout(limits.timeout):
            async for part in request.stream():
                size += len(part)
                _check_size(size, limits)
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {limits.timeout:g} seconds", "slow body") from None
    except ClientDisconnect:
        raise Refused(400, "the client left before its body was complete", "client left") from None
    return b"".join(parts)


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.size:
        raise Refused(413, f"the body has more than {limits.size:,} bytes; send fewer rows at a time", "body size")


def _json_rows(body: bytes, most: int) -> tuple[list[Any], int]:
    try:
        found = from_json(body)
    except ValueError as error:
        raise Refused(400, f"the body is no JSON: {error}", "json") from None
    if not isinstance(found, dict) or not isinstance(found.get("rows"), list):
        raise Refused(400, 'the body must be {"rows": [...]}, with an object for each row, column -> value', "json")
    for key in found:
        if key != "rows":
            raise Refused(400, f"the body has a key '{key}'; {nearest(key, ['rows'])}", "json")
    rows = found["rows"]
    _check_rows(len(rows), most)
    return rows, len(rows)


def _arrow_rows(body: bytes, most: int) -> tuple[pa.Table, int]:
    batches, rows = [], 0
    try:
        with pa.ipc.open_stream(body) as stream:
            for batch in stream:
                rows += batch.num_rows
                _check_rows(rows, most)
                batch.validate(full=True)  # offsets of a stranger point anywhere
                batches.append(batch)
            table = pa.Table.from_batches(batches, stream.schema)
            _ = table.column_names  # read as text here, where what is none is refused
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is no Arrow stream: {str(error).splitlines()[0]}", "arrow") from None
    return table, rows


def _check_rows(rows: int, most: int) -> None:
    if rows > most:
        raise Refused(413, f"a request has at most {most:,} rows; send the others in the next one", "rows")


def _json_scores(tasks: tuple[str, ...], scores: Scores, model: Mapping[str, Any]) -> bytes:
    rows = [dict(zip(tasks, row, strict=True)) for row in zip(*(s.tolist() for s in scores), strict=True)]
    return b'{"model":%b,"rows":%b}' % (to_json(model), to_json(rows))


def _arrow_scores(tasks: tuple[str, ...], scores: Scores, model: Mapping[str, Any]) -> bytes:
    schema = pa.schema([(task, pa.float32()) for task in tasks], metadata={MODEL: json.dumps(model)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(pa.record_batch([pa.array(column) for column in scores], schema=schema))
    return bytes(sink.getvalue())


KINDS = {
    JSON: Kind(JSON, _json_rows, Scorer.of_rows, _json_scores),
    ARROW: Kind(ARROW, _arrow_rows, Scorer.of_arrow, _arrow_scores),
}
