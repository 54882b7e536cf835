"""`msmtrec deploy init`: the folder of a deployment, with TLS and a key for every node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from msmtrec.base.errors import UserError
from msmtrec.deployed.extra import extra
from msmtrec.deployed.files import PLAIN, SCRIPT, SECRET, Written, node_files, rendered, write
from msmtrec.deployed.plan import Plan, planned

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
                write(made, file)
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


def _files(plan: Plan, place: Path) -> Iterator[Written]:
    """place: where the deployment will stand."""
    with extra():
        from msmtrec.deployed.certificates import Authority, names_of
        from msmtrec.deployed.node_keys import node_key
    for path, mode in {**_SERVER, **({_PROXY: PLAIN} if plan.proxied else {})}.items():
        yield rendered(path, path, mode, plan=plan, place=str(place))
    authority = Authority.new()
    for name, pair in {"ca": authority.pair, "server": authority.server(names_of(plan.host))}.items():
        yield Written(f"server/certificates/{name}.key", pair.private, mode=SECRET)
        yield Written(f"server/certificates/{name}.crt", pair.public)
    for node in plan.nodes:
        key = node_key(node.name)
        for file in node_files(node, plan.address, authority.pair.public, public=key.public, private=key.private):
            yield replace(file, path=f"nodes/{node.name}/{file.path}")
        yield Written(f"server/public-keys/{node.name}.pub", key.public)
