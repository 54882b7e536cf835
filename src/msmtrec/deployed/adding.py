"""`msmtrec deploy add-node`: a newcomer's folder and key, and its place in the federation's file.

Needs what comes with the extra `flower`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.config.parse import check_batches
from msmtrec.deployed.certificates import names_in
from msmtrec.deployed.entry import with_node
from msmtrec.deployed.files import KEY, Written, node_files, replace_file, write
from msmtrec.deployed.made import Made
from msmtrec.deployed.node_keys import node_key, public_key
from msmtrec.deployed.plan import FIRST_PORT, PlannedNode, address, check_names, example, safe
from msmtrec.deployed.settings import NodeSettings

_FILE = "node.yaml"


@dataclass(frozen=True)
class Added:
    """Args:
    home: the node's folder.
    address: HOST:PORT, as it calls the server.
    secret: its private key is in the folder.
    """

    node: PlannedNode
    home: Path
    address: str
    secret: bool

    def lines(self) -> Iterator[str]:
        """What was made, and what is to be done now."""
        name, paths = self.node.name, ", ".join(self.node.paths)
        yield f"{self.home}: node '{name}' of {', '.join(self.node.scenarios)}; it calls {self.address}"
        yield "what to do now:"
        if self.secret:
            yield f"1. give the node its folder by a way that nobody listens to: {KEY} is who it is; remove it here"
        else:
            yield f"1. give the node its folder; its operator puts the private key there as {KEY}"
        yield f"2. there, say in {_FILE} where the rows are{f'; an example: {paths}' if paths else ''}"
        yield f"3. where the server has a copy: federation.yaml and public-keys/{name}.pub go there"
        yield f"4. at the server: register-nodes.sh, while the SuperLink runs; it tells it the key of {name}"
        yield "5. at the node: start-supernode.sh, or with systemd, or in a container"
        yield "6. at the server: run.sh --check asks it with the others; run.sh goes on with it"


def add_node(
    folder: Path,
    scenarios: Sequence[str],
    *,
    name: str | None = None,
    like: Path | None = None,
    key: Path | None = None,
) -> Added:
    """Make a node's folder, and name it and its public key at the server: all of it, or nothing.

    Args:
        folder: of the deployment.
        scenarios: that the node has.
        name: of the node; None: as its scenario.
        like: a node's file or folder, whose `data` is the example; None: the first one in the deployment.
        key: public key that the node's operator made; None: a pair is made.

    Raises:
        UserError: anything of it is wrong, and what; or cannot be written.
    """
    made = Made.open(folder)
    _check_scenarios(made, scenarios)
    name = _checked_name(made, scenarios, name)
    host = names_in(made.certificates / "server.crt")[0]
    data = example(NodeSettings.example(_like(made, like)), scenarios)
    node = PlannedNode(name, tuple(scenarios), data, FIRST_PORT + len(made.settings.nodes))
    found = Added(node, made.nodes / name, address(host, made.port(host)), key is None)
    try:
        _write(made, found, *_keys(made, name, key))
    except OSError as error:
        raise UserError(f"cannot add a node to {folder}: {error.strerror}; nothing has been added") from error
    return found


def _write(made: Made, added: Added, public: bytes, private: bytes) -> None:
    """The federation's file comes last: without it nothing has happened."""
    node, home, registered = added.node, added.home, Written(f"{added.node.name}.pub", public)
    text = with_node(made.federation.read_bytes().decode(), node.name, node.scenarios, made.federation)
    authority = (made.certificates / "ca.crt").read_bytes()
    with ExitStack() as undone:
        if not made.nodes.exists():
            made.nodes.mkdir()
            undone.callback(made.nodes.rmdir)
        with TemporaryDirectory(dir=made.nodes, prefix=f".{home.name}-") as kept:
            new = Path(kept) / "made"  # with the modes that the user's folders have
            for file in node_files(node, added.address, authority, public=public, private=private):
                write(new, file)
            new.rename(home)
        undone.callback(shutil.rmtree, home)
        write(made.keys, registered)
        undone.callback((made.keys / registered.path).unlink)
        replace_file(made.federation, text.encode())
        undone.pop_all()


def _check_scenarios(made: Made, scenarios: Sequence[str]) -> None:
    owners = {one: node for node, own in made.settings.scenarios.items() for one in own}
    check_names(scenarios, "--scenario")
    for one in scenarios:
        if one in owners:
            raise UserError(f"--scenario {one}: node '{owners[one]}' has it already; name one that nobody has")
    agreed = parse_agreed(made.settings.agreed, made.federation.stem)
    check_batches((one for candidates in agreed.contenders for one in candidates), [*owners, *scenarios])


def _checked_name(made: Made, scenarios: Sequence[str], name: str | None) -> str:
    """A folder's, that is free."""
    if name is None and len(scenarios) > 1:
        raise UserError(f"a node of {len(scenarios)} scenarios needs a name of its own: --node NAME")
    name, option = (scenarios[0], "--scenario") if name is None else (name, "--node")
    if [name] != list(safe([name])):
        raise UserError(
            f"{option} {name}: no node is called so, as its folder is, too; give it a name of letters, digits, '-', '_'"
            " and '.': --node NAME"
        )
    taken = {one.lower(): one for one in made.settings.nodes}
    if name.lower() in taken:
        raise UserError(f"{option} {name}: there is a node '{taken[name.lower()]}' already; name another: --node NAME")
    for path in (made.nodes / name, made.keys / f"{name}.pub"):
        if path.exists() or path.is_symlink():
            raise UserError(f"{path} is there already, and {made.federation} names no such node; move it away")
    return name


def _keys(made: Made, name: str, key: Path | None) -> tuple[bytes, bytes]:
    """(public, private); no private one where its operator has it."""
    if key is None:
        pair = node_key(name)
        return pair.public, pair.private
    public = public_key(key, name)
    for path in sorted(made.keys.glob("*.pub")):
        if path.read_bytes().split()[:2] == public.split()[:2]:
            raise UserError(f"--public-key {key}: it is that of node '{path.stem}'; each node needs its own")
    return public, b""


def _like(made: Made, like: Path | None) -> Path:
    """A node's file."""
    if like is not None:
        return like / _FILE if like.is_dir() else like
    for node in made.settings.nodes:
        if (made.nodes / node / _FILE).is_file():
            return made.nodes / node / _FILE
    raise UserError(f"{made.nodes} has no node's {_FILE} for an example of what nodes declare; name one: --like FILE")
