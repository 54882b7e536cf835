"""A deployment by its folder: who takes part, and where the server is reached."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.deployed.plan import proxied
from msmtrec.deployed.settings import FederationSettings

FEDERATION = "federation.yaml"
_ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Made:
    """Args:
    folder: has the server's, and usually `nodes/`.
    server: the server's folder.
    """

    folder: Path
    server: Path

    @classmethod
    def open(cls, folder: Path) -> Made:
        """A deployment, named by its folder or by the server's.

        Raises:
            UserError: it is none.
        """
        if (folder / "server" / FEDERATION).is_file():
            return cls(folder, folder / "server")
        if (folder / FEDERATION).is_file():
            place = folder.resolve()
            return cls(place.parent, place)
        raise UserError(f"{folder} is no deployment: it has no server/{FEDERATION}; msmtrec deploy init writes one")

    @property
    def nodes(self) -> Path:
        return self.folder / "nodes"

    @property
    def federation(self) -> Path:
        return self.server / FEDERATION

    @property
    def certificates(self) -> Path:
        return self.server / "certificates"

    @property
    def keys(self) -> Path:
        """Public ones, of nodes."""
        return self.server / "public-keys"

    @property
    def proxy(self) -> Path:
        """What nginx includes, where there is one."""
        return self.server / "nginx.conf"

    @cached_property
    def settings(self) -> FederationSettings:
        """Errors as `FederationSettings.load`."""
        return FederationSettings.load(self.federation)

    def port(self, host: str) -> int:
        """At which nodes call the server by its host.

        Raises:
            UserError: nothing says where the SuperLink is.
        """
        place = self.server / "flwr-home" / "config.toml"
        try:
            address = tomllib.loads(place.read_text())["superlink"]["lab"]["address"]
            found = _ADDRESS.fullmatch(address)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"cannot read where the SuperLink is from {place}: {error}") from error
        if found is None:
            raise UserError(f"{place} has {address} for the SuperLink, which listens to 127.0.0.1 alone; write that")
        return int(found[1]) - proxied(host)
