"""What a deployment is to be: from a config of one machine to what all agree on and what each node has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import group, one_of
from msmtrec.base.yaml import read_yaml
from msmtrec.config.agreed import parse_agreed
from msmtrec.config.parse import Source, check_batches, parse_data
from msmtrec.config.places import PATHS
from msmtrec.logs.sources.settings.own_logs import OwnLogs
from msmtrec.logs.sources.settings.synthetic import Synthetic

_NOT_AGREED = ("data", "jobs")
"""Keys of a config that are no matter of a federation's."""
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_LONGEST = 60
"""Letters of a node's name."""
FIRST_PORT = 9100
"""On which the first node's SuperNode speaks to the processes of its own machine."""


@dataclass(frozen=True)
class PlannedNode:
    """A node before it is there.

    Args:
        name: of it, its folder and its registration: letters, digits, '-', '_' and '.'.
        scenarios: that it has.
        data: section of its own file, an example.
        port: of its SuperNode, for its own machine alone.
    """

    name: str
    scenarios: tuple[str, ...]
    data: Mapping[str, Any]
    port: int

    @property
    def paths(self) -> tuple[str, ...]:
        """Keys of `data` that hold paths."""
        tables = self.data.get("tables")
        sides = [f"tables.{name}.files" for name in tables] if isinstance(tables, Mapping) else []
        return tuple(key for key in PATHS if key in self.data and key != "keep") + tuple(sides)


@dataclass(frozen=True)
class Plan:
    """A whole deployment.

    Args:
        agreed: section of the federation's file.
        host: by which the server is reached from the nodes.
        port: there.
    """

    agreed: Mapping[str, Any]
    nodes: tuple[PlannedNode, ...]
    _: KW_ONLY
    host: str
    port: int

    @property
    def address(self) -> str:
        """HOST:PORT, as nodes call the server."""
        return address(self.host, self.port)

    @property
    def proxied(self) -> bool:
        """Whether others than this machine reach the server, so that something has to stand before it."""
        return proxied(self.host)

    @property
    def inner_port(self) -> int:
        """Of the SuperLink, on 127.0.0.1."""
        return self.port + self.proxied

    @property
    def quorum(self) -> int:
        """More than half."""
        return len(self.nodes) // 2 + 1


def address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def proxied(host: str) -> bool:
    """Whether it is called from other machines."""
    return host != "localhost" and not (_is_address(host) and ip_address(host).is_loopback)


def planned(config: Path, scenarios: Sequence[str] | None, *, host: str, port: int) -> Plan:
    """Args:
        config: of one machine; all of it but `data` and `jobs` is what the federation agrees on.
        scenarios: a node for each; None: those that `data` lists.

    Raises:
        UserError: anything in it is not valid, or not possible in a federation.
    """
    raw = read_yaml(config)
    if not raw.get("data"):
        raise UserError(f"{config} has no 'data'; give one, as an example of what nodes declare")
    data = group(raw["data"], "data")
    source = parse_data(data)
    kept = {key: value for key, value in raw.items() if key not in _NOT_AGREED}
    agreed = parse_agreed(kept, config.stem)
    names = _chosen(source, scenarios)
    contenders = [one for candidates in agreed.contenders for one in candidates]
    check_batches(contenders, names)
    nodes = tuple(
        PlannedNode(node, (name,), _own(data, source, name), FIRST_PORT + number)
        for number, (node, name) in enumerate(zip(safe(names), names, strict=True))
    )
    return Plan({"name": agreed.name, **kept}, nodes, host=_checked(host), port=port)


def safe(scenarios: Sequence[str]) -> Iterator[str]:
    """A name for the node of each scenario: a folder's on any machine, and nothing that a shell reads otherwise."""
    taken: set[str] = set()
    for scenario in scenarios:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", scenario)[:_LONGEST].strip("-.") or "node"
        name, number = plain, 2
        while name.lower() in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name.lower())
        yield name


def _chosen(source: Source, scenarios: Sequence[str] | None) -> tuple[str, ...]:
    there = _listed(source)
    if scenarios is None:
        if not there:
            raise UserError("the config's data does not list its scenarios; name them: --scenarios A,B,C")
        return there
    check_names(scenarios, "--scenarios")
    for name in scenarios if there else ():
        one_of(name, there, "--scenarios")
    return tuple(scenarios)


def check_names(names: Sequence[str], option: str) -> None:
    """Raises: UserError where one is empty, or there twice."""
    for number, name in enumerate(names):
        if not name:
            raise UserError(f"{option} has an empty name; separate names with single commas")
        if name in names[:number]:
            raise UserError(f"{option} names '{name}' twice; remove one")


def _listed(source: Source) -> tuple[str, ...]:
    """As far as they are known before rows are read."""
    if isinstance(source, Synthetic | OwnLogs):
        return source.scenario_names()
    found = getattr(source, "scenarios", getattr(source, "countries", None))
    return found if isinstance(found, tuple) else ()


def _own(data: Mapping[str, Any], source: Source, scenario: str) -> dict[str, Any]:
    """A scenario's own part of own logs; what is public or made up stays, and a node reads its part of it."""
    found = dict(data)
    if not isinstance(source, OwnLogs):
        return found
    if isinstance(files := found.get("files"), Mapping):
        found["files"] = _part(files, scenario)
    if "scenarios" in found or source.scenario is not None:
        found["scenarios"] = [scenario]
    if isinstance(tables := found.get("tables"), Mapping):
        found["tables"] = _tables(tables, lambda files: _part(files, scenario))
    return found


def _tables(tables: Mapping[str, Any], part: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    """Side tables, with a part of those files that are given by scenario."""
    return {
        name: {**table, "files": part(table["files"])}
        if isinstance(table, Mapping) and isinstance(table.get("files"), Mapping)
        else table
        for name, table in tables.items()
    }


def _part(files: Mapping[str, Any], scenario: str) -> dict[str, Any]:
    return {name: value for name, value in files.items() if name == scenario}


def example(data: Mapping[str, Any], scenarios: Sequence[str]) -> dict[str, Any]:
    """What a node of these scenarios may begin with, from the `data` of another one.

    Of own logs that names the other's scenarios, and names these instead; public logs that list theirs list these too.

    Raises:
        UserError: it is not valid, or has no such scenarios.
    """
    found, source = dict(data), parse_data(data)
    if isinstance(source, OwnLogs):
        if isinstance(files := found.get("files"), Mapping):
            found["files"] = _alike(files, scenarios)
        if "scenarios" in found or source.scenario is not None:
            found["scenarios"] = list(scenarios)
        if isinstance(tables := found.get("tables"), Mapping):
            found["tables"] = _tables(tables, lambda files: _alike(files, scenarios))
    else:
        for key in ("scenarios", "countries"):
            if isinstance(there := found.get(key), list):
                found[key] = [*there, *(name for name in scenarios if name not in there)]
    listed = _listed(parse_data(found))
    for name in scenarios if listed else ():
        one_of(name, listed, "--scenario")
    return found


def _alike(files: Mapping[str, Any], scenarios: Sequence[str]) -> dict[str, Any]:
    """Those of the first scenario stand for all that have none yet."""
    first = next(iter(files.values()), None)
    return {name: files.get(name, first) for name in scenarios}


def _checked(host: str) -> str:
    if _is_address(host):
        if ip_address(host).is_unspecified:
            raise UserError(f"--host {host} is no address that a node can call; give the server's own")
        return host
    if not _HOST.fullmatch(host) or re.fullmatch(r"[0-9.]+", host):
        raise UserError(f"--host {host}: must be a machine's name or address, without a port")
    return host


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
