"""What is told of rows before anything trains: names and kinds as they are, and digests of whatever may hold values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self, TypeVar, get_args

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.base.sentences import shown
from msmtrec.base.settings import Settings

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
VERSION = 1
"""Of files."""
DIGEST = "sha256:"
"""Before a digest."""
_SEAL = re.compile(f"{DIGEST}[0-9a-f]{{64}}")
Part = TypeVar("Part", Feature, Task)


class Told(Settings):
    """What scenarios in one place tell of their rows.

    Args:
        version: of this form.
        timed: whether the rows have times.
        rows: scenario -> split -> how many; empty where they were not counted.
        declared: what the rows mean, sealed.
    """

    version: Literal[1] = 1
    timed: bool
    rows: dict[str, dict[Split, NonNegativeInt]] = Field(default_factory=dict)
    declared: Schema

    @model_validator(mode="after")
    def _as_told(self) -> Self:
        for sentence in self._faults():
            raise ValueError(sentence)
        return self

    def _faults(self) -> Iterator[str]:
        known, scenarios = self.declared.task_names, self.declared.scenarios
        if not scenarios:
            yield "no scenario is declared"
        for scenario, tasks in scenarios.items():
            yield from (
                f"scenario '{scenario}' has the task '{name}', which is not declared"
                for name in tasks
                if name not in known
            )
        if self.rows and {*self.rows} != {*scenarios}:
            yield "rows are counted of other scenarios than those that are declared"
        for scenario, rows in self.rows.items():
            if len(rows) != len(SPLITS):
                yield f"of scenario '{scenario}' rows of some splits are not counted"
        for name, texts in _closed(self.declared):
            if not all(_SEAL.fullmatch(str(text)) for text in texts):
                yield f"'{name}' is told with something that may be a value of a row, and only digests are"

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(self.declared.scenarios)

    def text(self) -> str:
        """As a file holds it: what has its usual value is left out."""
        plain = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps({"version": self.version, **plain}, indent=1, ensure_ascii=False) + "\n"


def sealed(schema: Schema) -> Schema:
    """The same without a value: two are equal where what they are of is declared in the same words.

    Listed values, expressions with the columns that they read, and the words that labels are made of become digests.
    What need not be agreed goes: the words for nothing, how ids are written, which side tables columns are from.
    """
    return replace(
        schema,
        features=tuple(_made(replace(feature, shared=_space(feature.shared))) for feature in schema.features),
        tasks=tuple(
            _made(replace(task, positive=_one(task.positive), negative=_one(task.negative))) for task in schema.tasks
        ),
        missing=(),
        whole=(),
        joined={},
    )


def _closed(schema: Schema) -> Iterator[tuple[str, Sequence[object]]]:
    """(feature, task or data set, what may only be digests of it)"""
    for feature in schema.features:
        space = feature.shared
        listed = space.values or (space.kind,) if space and space.kind in ("values", "sealed") else ()
        yield feature.name, (*listed, *_of_rows(feature))
    for task in schema.tasks:
        yield task.name, (*task.positive, *task.negative, *_of_rows(task))
    yield schema.name, (*schema.missing, *schema.whole, *schema.joined)


def _of_rows(part: Feature | Task) -> Iterator[str]:
    yield from (part.expression,) if part.expression else ()
    yield from (column for column, _ in part.reads)


def _space(space: IdSpace | None) -> IdSpace | None:
    if space is None or space.kind != "values":
        return space
    return IdSpace("sealed", space.size, _one(space.values))


def _made(part: Part) -> Part:
    """Of an expression, whose text may name values, and of what it reads."""
    reads = tuple((digest, "") for digest in _one(part.reads))
    return replace(part, expression=_digest(part.expression), reads=reads)


def _one(found: tuple[object, ...]) -> tuple[str, ...]:
    """A digest of all of them, in their order."""
    return (_digest(found),) if found else ()


def _digest(found: object) -> str:
    """Empty of what is empty."""
    return DIGEST + sha256(json.dumps(found).encode()).hexdigest() if found else ""


def read_schema(text: str) -> Schema:
    """JSON of `Schema.as_dict`, sealed.

    Raises:
        ValueError, RecursionError, UserError: it is something else.
    """
    return Told.model_validate({"timed": False, "declared": json.loads(text)}).declared


def read_told(path: Path) -> Told:
    """A file that `Told.text` was written to, by whomever.

    Raises:
        UserError: it cannot be read, or is none of this version.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON; {_AGAIN}") from error
    if not isinstance(raw, Mapping) or "version" not in raw:
        raise UserError(f"{path} is not what `msmtrec deploy schema` writes; {_AGAIN}")
    if raw["version"] != VERSION:
        raise UserError(
            f"{path} is of version {shown(raw['version'])}, and this msmtrec reads version {VERSION}; {_AGAIN}"
        )
    try:
        return Told.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise UserError(f"{path} cannot be read: {_first(error)}; {_AGAIN}") from error
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error


_AGAIN = "write it again: msmtrec deploy schema NODE.yaml --out FILE"


def _first(error: ValidationError) -> str:
    """What is wrong first, and where. The value itself is not said."""
    found = error.errors()[0]
    where, what = ".".join(str(part) for part in found["loc"]), found["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
