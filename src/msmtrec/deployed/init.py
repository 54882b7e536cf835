"""`msmtrec deploy init`: the folder of a deployment, with TLS and a key for every node."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment, PackageLoader, StrictUndefined

from msmtrec.base.errors import UserError
from msmtrec.base.yaml import dump_yaml
from msmtrec.deployed.plan import Plan, planned

SCRIPT, SECRET, PLAIN = 0o755, 0o600, 0o644
"""Modes of files, before the user's umask."""
_SERVER = {
    "README.md": PLAIN,
    "server/federation.yaml": PLAIN,
    "server/environment.sh": PLAIN,
    "server/start-superlink.sh": SCRIPT,
    "server/register-nodes.sh": SCRIPT,
    "server/run.sh": SCRIPT,
    "server/flwr-home/config.toml": PLAIN,
    "server/app/pyproject.toml": PLAIN,
    "server/app/LICENSE": PLAIN,
    "server/superlink.service": PLAIN,
    "server/compose.yaml": PLAIN,
}
_PROXY = "server/nginx.conf"
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


def init(folder: Path, config: Path, scenarios: Sequence[str] | None, *, host: str, port: int) -> Plan:
    """Write a deployment: all of it, or nothing.

    Args:
        folder: empty, or not there.
        config, scenarios, host, port: as `plan.planned`.

    Raises:
        UserError: as `planned`; or the folder has something in it, or cannot be written.
    """
    plan = planned(config, scenarios, host=host, port=port)
    _check_free(folder)
    place = folder.resolve()
    files = list(_files(plan, place))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as kept:
            made = Path(kept) / "made"  # with the modes that the user's folders have
            for file in files:
                _write(made / file.path, file)
            made.replace(place)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose another folder") from error
    return plan


def _check_free(folder: Path) -> None:
    try:
        if folder.is_dir() and next(folder.iterdir(), None) is None:
            return
        if folder.exists() or folder.is_symlink():
            raise UserError(f"{folder} is there already, and a deployment needs an empty folder; choose another")
    except OSError as error:
        raise UserError(f"cannot look into {folder}: {error.strerror}; choose another folder") from error


def _write(path: Path, file: Written) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode), "wb") as out:
        out.write(file.content)


def _files(plan: Plan, place: Path) -> Iterator[Written]:
    """place: where the deployment will stand."""
    try:
        from msmtrec.deployed.certificates import certificates, node_key
    except ImportError as error:
        raise UserError("a deployment needs packages: pip install 'msmtrec[flower]'") from error
    templates = _templates()

    def rendered(path: str, template: str, mode: int, **more: object) -> Written:
        text = templates.get_template(f"{template}.j2").render(plan=plan, place=str(place), **more)
        return Written(path, text.encode(), mode=mode)

    for path, mode in {**_SERVER, **({_PROXY: PLAIN} if plan.proxied else {})}.items():
        yield rendered(path, path, mode)
    own = certificates(plan.host)
    for name, pair in {"ca": own.authority, "server": own.server}.items():
        yield Written(f"server/certificates/{name}.key", pair.private, mode=SECRET)
        yield Written(f"server/certificates/{name}.crt", pair.public)
    for node in plan.nodes:
        key, home = node_key(node.name), f"nodes/{node.name}"
        for name, mode in _NODE.items():
            yield rendered(f"{home}/{name}", f"node/{name}", mode, node=node)
        yield Written(f"{home}/ca.crt", own.authority.public)
        yield Written(f"{home}/node-key", key.private, mode=SECRET)
        yield Written(f"{home}/node-key.pub", key.public)
        yield Written(f"server/public-keys/{node.name}.pub", key.public)


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
