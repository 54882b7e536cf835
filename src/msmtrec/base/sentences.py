"""From mappings to settings, with one clear sentence for the first thing wrong."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.settings import Settings

Kind = TypeVar("Kind", bound=Settings)
_PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s@]+@")
_LONGEST = 120
"""Characters of a wrong value that a sentence repeats."""


def build(kind: type[Kind], raw: Any, place: str) -> Kind:
    """Validate a mapping as settings.

    Raises:
        UserError: naming the key.
    """
    raw = group(raw, place)
    known(raw, tuple(kind.model_fields), place)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        errors = error.errors()
        unknown = [found for found in errors if found["type"] == "extra_forbidden"]
        raise UserError(_sentence(kind, (unknown or errors)[0], place)) from error


def _sentence(kind: type[Settings], error: Mapping[str, Any], place: str) -> str:
    loc = error["loc"]
    where = ".".join([place, *(str(part) for part in loc)])
    match error["type"]:
        case "extra_forbidden":
            return _unknown(where, loc[-1], sorted(set(_fields(kind, loc[:-1]))))
        case "missing":
            return f"{where} is missing; it has no default"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{where} must be a group of settings, not {shown(error['input'])}"
        case "too_short" if error["input"] == {}:
            return f"{where} is empty; fill it, or remove it"
        case "value_error":
            return f"{where}: {error['msg'].removeprefix('Value error, ')}"
        case "string_type" if isinstance(error["input"], bool | int | float | date):
            return f"{where} must be text, not {error['input']}; put it in quotes, as it is written"
        case "string_type" if error["input"] is None:
            return f"{where} must be text, not nothing; put it in quotes if it is meant as it stands"
        case "tuple_type" | "list_type":
            one = error["input"] if isinstance(error["input"], str | int | float) else "…"
            return f"{where} must be a list, such as [{one}], not {shown(error['input'])}"
    return f"{where}: {error['msg']} (given: {shown(error['input'])})"


def _fields(annotation: Any, loc: tuple[Any, ...]) -> Iterator[str]:
    """The keys of the settings class that `loc` leads to, through groups, mappings, lists and None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            yield from annotation.model_fields
        elif loc[0] in annotation.model_fields:
            yield from _fields(annotation.model_fields[loc[0]].annotation, loc[1:])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _fields(member, loc)
    elif get_origin(annotation) is dict and loc:
        yield from _fields(get_args(annotation)[1], loc[1:])
    elif get_origin(annotation) in (list, tuple) and loc:
        yield from _fields(get_args(annotation)[0], loc[1:])


def group(raw: Any, place: str) -> dict[str, Any]:
    """A group of settings.

    Raises:
        UserError: it is a value.
    """
    if not isinstance(raw, Mapping):
        raise UserError(f"{place} must be a group of settings, not {shown(raw)}")
    return dict(raw)


def optional_group(raw: Any, place: str) -> dict[str, Any]:
    """A group that may be left empty; false, 0 and [] are no groups."""
    return {} if raw is None else group(raw, place)


def known(raw: Mapping[str, Any], valid: tuple[str, ...], place: str) -> None:
    """Refuse keys that do not exist.

    Raises:
        UserError: with the nearest valid key.
    """
    for key in raw:
        if key not in valid:
            raise UserError(_unknown(f"{place}.{key}" if place else str(key), key, valid))


def one_of(value: Any, valid: Collection[str], place: str) -> str:
    """One of the words.

    Raises:
        UserError: with the nearest valid word.
    """
    if not isinstance(value, str) or value not in valid:
        hint = nearest(value, valid) if isinstance(value, str) else "valid: " + ", ".join(valid)
        raise UserError(f"{place} is {shown(value)}; {hint}")
    return value


def shown(value: Any) -> str:
    """A wrong value as a sentence repeats it."""
    text = _PASSWORD.sub(r"\1…@", repr(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _unknown(full: str, key: Any, valid: Collection[str]) -> str:
    return f"unknown config key '{full}'; {nearest(str(key), valid)}"
