"""One node more in a federation's file: nothing else of its text changes, comments included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from msmtrec.base.errors import UserError
from msmtrec.base.yaml import dump_yaml, parse_yaml


def with_node(text: str, name: str, scenarios: Sequence[str], path: Path) -> str:
    """The file's text with a node behind all others.

    Args:
        text: valid, with its ends of lines as they are.
        path: of the file, for messages.

    Raises:
        UserError: it is written in a way in which a node cannot be put in without changing more.
    """
    entry = {name: {"scenarios": list(scenarios)}}
    wanted = parse_yaml(text, str(path))
    wanted["nodes"] = {**wanted["nodes"], **entry}
    found = _put(text, entry)
    if found is None or not _says(found, wanted, path):
        line = f"{json.dumps(name)}: {{scenarios: {json.dumps(list(scenarios), ensure_ascii=False)}}}"
        raise UserError(f"{path}: 'nodes' is written so that only you can add one; put behind all others: {line}")
    return found


def _says(text: str, wanted: Mapping[str, Any], path: Path) -> bool:
    """Values and their order."""
    try:
        return dump_yaml(parse_yaml(text, str(path))) == dump_yaml(wanted)
    except UserError:
        return False


def _put(text: str, entry: Mapping[str, Any]) -> str | None:
    """None where nodes are not written one below the other."""
    root: Any = yaml.compose(text, yaml.SafeLoader)
    nodes = next(value for key, value in root.value if key.value == "nodes")
    if not isinstance(nodes, yaml.MappingNode) or nodes.flow_style:
        return None
    column, lines = nodes.value[-1][0].start_mark.column, text.splitlines(keepends=True)
    after = max(_ends(nodes)) + 1
    while after < len(lines) and _comment(lines[after], column):
        after += 1
    end = "\r\n" if lines[0].endswith("\r\n") else "\n"
    if not lines[after - 1].endswith("\n"):
        lines[after - 1] += end
    new = (f"{' ' * column}{line}{end}" for line in dump_yaml(entry).splitlines())
    return "".join([*lines[:after], *new, *lines[after:]])


def _comment(line: str, column: int) -> bool:
    """On the node above it, as far as it is to be seen from where it begins."""
    plain = line.lstrip(" ")
    return plain.startswith("#") and len(line) - len(plain) >= column


def _ends(node: Any) -> Iterator[int]:
    """Lines, from 0, in which its parts end. That of a whole block is where the next one begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        yield node.end_mark.line
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for part in pair:
                yield from _ends(part)
    else:
        for part in node.value:
            yield from _ends(part)
