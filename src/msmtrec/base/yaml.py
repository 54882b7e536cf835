"""YAML as config files and --set hold it: no key twice, and one sentence for every mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from msmtrec.base.errors import UserError

_MERGE = "tag:yaml.org,2002:merge"
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, which YAML would settle silently, and says where a value is impossible."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
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

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.MarkedYAMLError(
                problem=f"'{node.value}' is no possible date or number ({error})", problem_mark=node.start_mark
            ) from error


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader` would read as something else."""


for _kind in (_Loader, _Dumper):  # else 1e-3 were text
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def dump_yaml(value: Any) -> str:
    """Text that `parse_yaml` reads as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


def parse_yaml(text: str, mistake: str) -> Any:
    """The value of a text.

    Raises:
        UserError: `mistake`, then what is wrong and in which line.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        sentence = ", ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise UserError(f"{mistake}: {' '.join(sentence.split())}{place}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{mistake}: {' '.join(str(error).split())}") from error


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
    raw = parse_yaml(text, f"{path} is no valid YAML")
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds no settings; see configs/ for examples")
    return raw


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one dotted key in place; the value is read as YAML."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"--set takes key=value, such as train.rounds=5, not '{override}'")
    value = parse_yaml(text, f"--set {override}: the value is no valid YAML")
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
    """The key as the group has it: YAML reads a scenario called 0 as a number."""
    return next((key for key in place if str(key) == part), part)
