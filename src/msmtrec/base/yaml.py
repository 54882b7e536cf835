"""YAML as config files and --set hold it: what it does not keep as written is refused, and no key stands twice."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from msmtrec.base.errors import UserError

_TAG = "tag:yaml.org,2002:"
_TEXT, _MERGE = f"{_TAG}str", f"{_TAG}merge"
_OTHERS = {f"{_TAG}{kind}" for kind in ("int", "float", "bool", "null", "timestamp")}
"""What YAML may make of a text without quotes."""
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


class _Altered(yaml.MarkedYAMLError):
    """YAML would read something else than what is written."""


class _Loader(yaml.SafeLoader):
    """Keys are text, and the same one must not stand twice, which YAML would settle silently.

    Refuses numbers in forms that YAML alone reads (010, 12:30, 0x10, 1_000), keys that it takes for anything but text
    or a number as it is written, and says where a value is impossible.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        node.value = [(self._named(key), value) for key, value in node.value]
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' is written twice; remove one", problem_mark=key.start_mark
                )
            seen.add((key.tag, key.value))
        return node

    def _named(self, key: yaml.Node) -> yaml.Node:
        """The key as text."""
        if not isinstance(key, yaml.ScalarNode) or key.tag not in _OTHERS:
            return key
        value = self._value(key)
        if type(value) not in (int, float) or str(value) != key.value:
            raise _Altered(
                problem=f"YAML reads the key '{key.value}' as {_in_words(value)}; put it in quotes",
                problem_mark=key.start_mark,
            )
        return yaml.ScalarNode(_TEXT, key.value, key.start_mark, key.end_mark)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        value = self._value(node, deep)
        if (type(value) is int and str(value) != node.value) or (type(value) is float and set(node.value) & set(":_")):
            raise _Altered(
                problem=f"YAML reads {node.value} as {_in_words(value)}; write {value}, or put it in quotes if it is"
                " meant as it stands",
                problem_mark=node.start_mark,
            )
        return value

    def _value(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.MarkedYAMLError(
                problem=f"'{node.value}' is no possible date or number ({error})", problem_mark=node.start_mark
            ) from error


def _in_words(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    what = "time" if isinstance(value, datetime) else "date" if isinstance(value, date) else "number"
    return f"the {what} {value}"


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader` would read as something else."""


for _kind in (_Loader, _Dumper):  # else 1e-3 were text
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
del _Loader.yaml_implicit_resolvers["="]  # else = were no text, and nothing else either


def dump_yaml(value: Any) -> str:
    """Text that `parse_yaml` reads as the same value; keys are texts."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a text; keys of mappings are texts.

    Args:
        where: it stands, for messages.

    Raises:
        UserError: what is wrong, and in which line.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        sentence = ", ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        what = "" if isinstance(error, _Altered) else " is no valid YAML"
        raise UserError(f"{where}{what}: {' '.join(sentence.split())}{place}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{where} is no valid YAML: {' '.join(str(error).split())}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """A file's settings.

    Raises:
        UserError: the file is missing or holds no YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read the config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no valid YAML: {error}; save it as UTF-8") from error
    raw = parse_yaml(text, str(path))
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds no settings; see configs/ for examples")
    return raw


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one dotted key in place; the value is read as YAML."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"--set takes key=value, such as train.rounds=5, not '{override}'")
    value = parse_yaml(text, f"--set {override}")
    set_value(raw, key, value, f"--set {override}")


def set_value(raw: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set one dotted key in place.

    Raises:
        UserError: `where`, then which part of the key is no group.
    """
    *path, last = key.split(".")
    place = raw
    for part in path:
        name = _written(place, part)
        inner = place.get(name)
        if inner is None:
            inner = place[name] = {}
        if not isinstance(inner, dict):
            raise UserError(f"{where}: '{part}' is a value, not a group of settings")
        place = inner
    place[_written(place, last)] = value


def _written(place: dict[Any, Any], part: str) -> Any:
    """The key as the group has it: from Python, a scenario called 0 may be a number."""
    return next((key for key in place if str(key) == part), part)
