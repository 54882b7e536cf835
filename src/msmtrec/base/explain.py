"""What settings mean, from the docstrings of their classes."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic_core import to_jsonable_python

from msmtrec.base.settings import Settings

_ENTRY = re.compile(r"    (\w[\w, ]*): (.*)")


@dataclass(frozen=True)
class Setting:
    """One key: its name, its default as YAML has it, and a sentence."""

    name: str
    default: str
    meaning: str


def explain(kind: type[Settings]) -> list[Setting]:
    """Every key of a settings class, in order; what it has inherited is explained where it was declared."""
    meanings: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        meanings |= arguments(one) if issubclass(one, Settings) else {}
    found = []
    for name, field in kind.model_fields.items():
        meaning = re.sub(r"\bNone\b", "null", meanings.get(name, ""))  # as YAML has it
        default = (
            "required"
            if field.is_required()
            else _as_yaml(field.get_default(call_default_factory=True, validated_data={}))
        )
        choices = [str(choice) for choice in _choices(field.annotation)]
        if any(choice not in meaning for choice in choices):
            meaning = f"{meaning.removesuffix('.')}: {', '.join(choices)}" if meaning else ", ".join(choices)
        found.append(Setting(name, default, meaning))
    return found


def _as_yaml(value: Any) -> str:
    return json.dumps(to_jsonable_python(value)).strip('"') or '""'


def arguments(kind: type) -> dict[str, str]:
    """Name -> sentence of the `Args:` section of a Google-style docstring; `a, b: …` stands for both."""
    _, _, section = inspect.cleandoc(kind.__doc__ or "").partition("\nArgs:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith("    "):
            break
        if entry := _ENTRY.fullmatch(line):
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found


def _choices(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for inner in get_args(annotation):
            yield from _choices(inner)
