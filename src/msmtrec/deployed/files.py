"""Files of a deployment: rendered from templates, written with their modes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from msmtrec.base.yaml import dump_yaml
from msmtrec.deployed.plan import PlannedNode

SCRIPT, SECRET, PLAIN = 0o755, 0o600, 0o644
"""Modes of files, before the user's umask."""
KEY = "node-key"
_NODE = {
    "node.yaml": PLAIN,
    "start-supernode.sh": SCRIPT,
    "supernode.service": PLAIN,
    "compose.yaml": PLAIN,
}


@dataclass(frozen=True)
class Written:
    """A file of a deployment. path: in its folder."""

    path: str
    content: bytes
    _: KW_ONLY
    mode: int = PLAIN


def write(folder: Path, file: Written) -> None:
    """A new one; errors as `os.open`."""
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode), "wb") as out:
        out.write(file.content)


def as_before(path: Path, before: Path) -> None:
    """A file that takes another one's place gets its owner and its mode: who could read that can read this.

    Raises:
        OSError: it is somebody else's.
    """
    found = before.stat()
    os.chown(path, found.st_uid, found.st_gid)
    path.chmod(found.st_mode & 0o777)


def replace_file(path: Path, content: bytes) -> None:
    """All of the content or nothing. Owner and mode stay, and a link to the file stays one.

    Raises:
        OSError: it is not there, or cannot be written.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, SECRET), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        as_before(temporary, path)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def rendered(path: str, template: str, mode: int, **values: object) -> Written:
    return Written(path, _templates().get_template(f"{template}.j2").render(**values).encode(), mode=mode)


def node_files(
    node: PlannedNode, address: str, authority: bytes, *, public: bytes, private: bytes
) -> Iterator[Written]:
    """The folder of a node.

    Args:
        address: HOST:PORT, as nodes call the server.
        authority: its certificate, PEM.
        public, private: key of the node; no private one: its operator has it.
    """
    for name, mode in _NODE.items():
        yield rendered(name, f"node/{name}", mode, node=node, address=address)
    yield Written("ca.crt", authority)
    if private:
        yield Written(KEY, private, mode=SECRET)
    yield Written(f"{KEY}.pub", public)


@cache
def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("msmtrec.deployed"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    found.filters["yaml"] = lambda value: dump_yaml(value).rstrip("\n")
    return found
