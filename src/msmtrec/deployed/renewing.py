"""`msmtrec deploy renew`: new certificates for a deployment that is there.

Needs what comes with the extra `flower`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.deployed.certificates import Authority, Pair, names_in, read
from msmtrec.deployed.exchanged import exchange, put_back
from msmtrec.deployed.files import SECRET, Written
from msmtrec.deployed.made import Made

BEFORE = "certificates.before"
"""In the server's folder while certificates are exchanged: what was there, with the nodes' copies."""


@dataclass(frozen=True)
class Renewed:
    """Args:
    names: by which the server is reached.
    ends, authority_ends: of the server's new certificate, and of who signed it.
    authority: it is new, too.
    here: nodes whose folders are here, and have its certificate.
    healed: an earlier call was interrupted, and what it had begun was undone first.
    """

    made: Made
    names: Sequence[str]
    ends: datetime
    authority_ends: datetime
    _: KW_ONLY
    authority: bool
    here: Sequence[str]
    healed: bool

    def lines(self) -> Iterator[str]:
        """What was made, and what is to be done now."""
        place = self.made.certificates
        if self.healed:
            yield "an earlier renewal was interrupted; what it had begun was undone first"
        yield f"{place / 'server.crt'}: for {', '.join(self.names)}, valid until {self.ends:%Y-%m-%d}"
        if self.authority:
            yield f"{place / 'ca.crt'}: a new authority, valid until {self.authority_ends:%Y-%m-%d}"
        elif self.ends == self.authority_ends:
            yield "it ends with the authority; --authority makes a new one, which every node must get"
        yield "what to do now:"
        yield from (f"{number}. {step}" for number, step in enumerate(self._steps(), 1))

    def _steps(self) -> Iterator[str]:
        place, far = self.made.certificates, [node for node in self.made.settings.nodes if node not in self.here]
        if self.authority:
            yield f"where the server has a copy of {place}: server.crt, server.key and ca.crt go there"
            yield f"keep {place / 'ca.key'} elsewhere: it is needed for the next certificate alone"
            for node in self.here:
                yield f"{self.made.nodes / node / 'ca.crt'} goes to node '{node}', in place of its own"
            if far:
                yield f"{place / 'ca.crt'} goes to all other nodes, in place of their own: {', '.join(far)}"
        else:
            yield f"where the server has a copy of {place}: server.crt and server.key go there"
        yield "start the SuperLink again, when no run goes on; until then it shows the old certificate"
        if self.made.proxy.exists():
            yield "have nginx read its files again: nginx -s reload"
        if self.authority:
            yield "start all SuperNodes again, with their new ca.crt"


def renew(folder: Path, *, key: Path | None = None, authority: bool = False) -> Renewed:
    """A new certificate for the server, with a new key, from the deployment's authority or from a new one.

    Args:
        folder: of the deployment, or of its server.
        key: of the authority; None: it is beside its certificate.
        authority: make a new one; its certificate also goes into the nodes' folders that are here.

    Raises:
        UserError: it is no deployment, the authority's key is not there or another's, its time is over, or something
            cannot be written; everything is as it was.
    """
    made = Made.open(folder)
    if authority and key is not None:
        raise UserError("--authority makes an authority with a key of its own; leave --ca-key out")
    here = [node for node in made.settings.nodes if (made.nodes / node / "ca.crt").is_file()] if authority else []
    before = made.server / BEFORE
    try:
        if healed := before.exists():
            put_back(made.folder, before, _every(made))
        names = names_in(made.certificates / "server.crt")
        signing = Authority.new() if authority else _standing(made, key)
        files = _pair(made, "server", signing.server(names))
        if authority:
            files += _pair(made, "ca", signing.pair)
            files += [Written(f"nodes/{node}/ca.crt", signing.pair.public) for node in here]
        exchange(made.folder, before, files, _every(made))
    except OSError as error:
        raise UserError(f"cannot renew the certificates of {folder}: {error.strerror}") from error
    ends, last = read(made.certificates / "server.crt").not_valid_after_utc, signing.certificate.not_valid_after_utc
    return Renewed(made, names, ends, last, authority=authority, here=here, healed=healed)


def _standing(made: Made, key: Path | None) -> Authority:
    """The deployment's own."""
    place = made.certificates / "ca.key" if key is None else key
    if key is None and not place.exists():
        raise UserError(f"{place} is not there, as it should be; name where it is kept: --ca-key FILE")
    found = Authority.read(made.certificates / "ca.crt", place)
    end = found.certificate.not_valid_after_utc
    if end <= datetime.now(UTC):
        raise UserError(f"the authority ended on {end:%Y-%m-%d} and can sign no more; --authority makes a new one")
    return found


def _pair(made: Made, name: str, pair: Pair) -> list[Written]:
    return [
        Written(_path(made, f"{name}.key"), pair.private, mode=SECRET),
        Written(_path(made, f"{name}.crt"), pair.public),
    ]


def _path(made: Made, name: str) -> str:
    """Of a certificate or a key, from the deployment's folder."""
    return f"{made.server.name}/{made.certificates.name}/{name}"


def _every(made: Made) -> list[str]:
    """Paths of all files that a renewal may change."""
    own = [_path(made, f"{name}.{kind}") for name in ("ca", "server") for kind in ("key", "crt")]
    return [*own, *(f"nodes/{path.parent.name}/ca.crt" for path in sorted(made.nodes.glob("*/ca.crt")))]
