"""Certificates of a deployment that is there: new ones that nodes trust, or those that were there."""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployed.deployment import NODES, contents, made

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from msmtrec.base.errors import UserError
from msmtrec.deployed import certificates
from msmtrec.deployed.certificates import Authority, read
from msmtrec.deployed.renewing import BEFORE, renew
from msmtrec.deployed.validity import endings

SERVER = {"server/certificates/server.crt", "server/certificates/server.key"}
AUTHORITY = {"server/certificates/ca.crt", "server/certificates/ca.key"}


@pytest.fixture
def own(far: Path, tmp_path: Path) -> Path:
    """A deployment to be changed."""
    return Path(shutil.copytree(far, tmp_path / "own"))


def changed(before: dict[str, bytes], folder: Path) -> set[str]:
    after = contents(folder)
    assert after.keys() == before.keys()
    return {name for name, held in before.items() if after[name] != held}


def trusted(authority: Path, folder: Path) -> bool:
    """Whether who knows an authority takes the server's certificate, by each of its names; and its key is the one."""
    place = folder / "server/certificates"
    own, key = read(place / "server.crt"), load_pem_private_key((place / "server.key").read_bytes(), None)
    assert key.public_key() == own.public_key()
    builder = PolicyBuilder().store(Store([read(authority)]))
    try:
        for name in ("lab.example.org", "localhost"):
            builder.build_server_verifier(x509.DNSName(name)).verify(own, [])
    except VerificationError:
        return False
    return True


def test_a_new_certificate_of_the_same_authority(own: Path) -> None:
    before = contents(own)
    found = renew(own)
    assert changed(before, own) == SERVER
    assert trusted(own / "nodes/BE-fr/ca.crt", own)
    end = read(own / "server/certificates/server.crt").not_valid_after_utc
    assert timedelta(days=729) < end - datetime.now(UTC) < timedelta(days=731)
    assert (own / "server/certificates/server.key").stat().st_mode & 0o777 == 0o600
    assert (own / "server/certificates/server.crt").stat().st_mode & 0o077 == 0o044
    assert list(found.lines()) == [
        f"{own}/server/certificates/server.crt: for lab.example.org, 127.0.0.1, localhost, valid until {end:%Y-%m-%d}",
        "what to do now:",
        f"1. where the server has a copy of {own}/server/certificates: server.crt and server.key go there",
        "2. start the SuperLink again, when no run goes on; until then it shows the old certificate",
        "3. have nginx read its files again: nginx -s reload",
    ]
    assert not [path for path in (own / "server").iterdir() if path.name.startswith((".", BEFORE))]


def test_whoever_could_read_a_key_can_read_the_next(own: Path) -> None:
    """And nobody else: a SuperLink has a user of its own."""
    key = own / "server/certificates/server.key"
    key.chmod(0o640)
    if os.getuid() == 0:
        os.chown(key, 65534, 65534)
    before = key.stat()
    renew(own)
    after = key.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_key_where_none_was_is_for_nobody_else(own: Path) -> None:
    """As `ca.key` is, which is kept elsewhere."""
    for name in ("ca.key", "server.key"):
        (own / "server/certificates" / name).unlink()
    renew(own, authority=True)
    for name in ("ca.key", "server.key"):
        assert (own / "server/certificates" / name).stat().st_mode & 0o777 == 0o600


def test_the_server_s_folder_is_a_deployment_too(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(own)
    monkeypatch.chdir(own / "server")
    renew(Path())
    assert changed(before, own) == SERVER
    assert trusted(own / "nodes/BE-fr/ca.crt", own)


def test_without_a_proxy_nobody_has_to_read_again(tmp_path: Path) -> None:
    assert "nginx" not in " ".join(renew(made(tmp_path)).lines())


def test_the_authority_s_key_may_be_elsewhere(own: Path, tmp_path: Path) -> None:
    shutil.move(own / "server/certificates/ca.key", tmp_path / "safe.key")
    before = contents(own)
    with pytest.raises(UserError, match=r"ca.key is not there, as it should be; name where it is kept: --ca-key FILE"):
        renew(own)
    assert changed(before, own) == set()
    renew(own, key=tmp_path / "safe.key")
    assert changed(before, own) == SERVER
    assert trusted(own / "nodes/BE-fr/ca.crt", own)


def test_a_new_authority_goes_to_every_node_that_is_here(own: Path, tmp_path: Path) -> None:
    shutil.move(own / "nodes/BE-fr", tmp_path / "away")
    before = contents(own)
    found = renew(own, authority=True)
    here = [node for node in NODES if node != "BE-fr"]
    assert changed(before, own) == SERVER | AUTHORITY | {f"nodes/{node}/ca.crt" for node in here}
    for node in here:
        assert trusted(own / "nodes" / node / "ca.crt", own)
    assert not trusted(tmp_path / "away/ca.crt", own)
    Authority.read(own / "server/certificates/ca.crt", own / "server/certificates/ca.key")
    assert (own / "server/certificates/ca.key").stat().st_mode & 0o777 == 0o600
    lines = list(found.lines())
    assert re.fullmatch(r".*/ca\.crt: a new authority, valid until \d{4}-\d\d-\d\d", lines[1])
    assert [line.split(". ", 1)[1] for line in lines[3:]] == [
        f"where the server has a copy of {own}/server/certificates: server.crt, server.key and ca.crt go there",
        f"keep {own}/server/certificates/ca.key elsewhere: it is needed for the next certificate alone",
        *(f"{own}/nodes/{node}/ca.crt goes to node '{node}', in place of its own" for node in here),
        f"{own}/server/certificates/ca.crt goes to all other nodes, in place of their own: BE-fr",
        "start the SuperLink again, when no run goes on; until then it shows the old certificate",
        "have nginx read its files again: nginx -s reload",
        "start all SuperNodes again, with their new ca.crt",
    ]


def test_a_new_authority_where_the_key_of_the_old_one_is_lost(own: Path) -> None:
    (own / "server/certificates/ca.key").unlink()
    renew(own, authority=True)
    assert trusted(own / "nodes/BE-fr/ca.crt", own)


def short(own: Path, monkeypatch: pytest.MonkeyPatch, lasts: timedelta) -> None:
    """An authority that began an hour ago and lasts for so long."""
    monkeypatch.setattr(certificates, "AUTHORITY", lasts)
    renew(own, authority=True)
    monkeypatch.undo()


def test_nothing_lasts_longer_than_its_authority(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short(own, monkeypatch, timedelta(days=100))
    lines = list(renew(own).lines())
    authority, server = (read(own / f"server/certificates/{name}.crt") for name in ("ca", "server"))
    assert server.not_valid_after_utc == authority.not_valid_after_utc
    assert lines[1] == "it ends with the authority; --authority makes a new one, which every node must get"


def test_an_authority_that_is_over_signs_no_more(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short(own, monkeypatch, timedelta(minutes=30))
    before = contents(own)
    with pytest.raises(UserError, match=r"the authority ended on .* and can sign no more; --authority makes a new one"):
        renew(own)
    assert changed(before, own) == set()


def locked(path: Path) -> bytes:
    key: Any = load_pem_private_key(path.read_bytes(), None)
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    return found


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda own: (own / "server/certificates/server.key").read_bytes(), "is not the key of "),
        (lambda own: b"x", "is no private key in PEM"),
        (lambda own: locked(own / "server/certificates/ca.key"), "is locked with a password"),
        (None, "cannot read "),
    ],
)
def test_keys_that_are_not_the_authority_s(own: Path, tmp_path: Path, content: Any, sentence: str) -> None:
    before, key = contents(own), tmp_path / "key"
    if content:
        key.write_bytes(content(own))
    with pytest.raises(UserError, match=re.escape(sentence)):
        renew(own, key=key)
    with pytest.raises(UserError, match=r"--authority makes an authority with a key of its own; leave --ca-key out"):
        renew(own, key=key, authority=True)
    assert changed(before, own) == set()


def test_what_is_no_deployment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no deployment: it has no server/federation\.yaml"):
        renew(tmp_path)


class Killed(BaseException):
    """The process."""


def stopped(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> None:
    """Files that are put in place; after some of them it ends."""
    done, replace = list[Path](), Path.replace

    def once(self: Path, target: Path) -> Path:
        if len(done) == after:
            done.append(target)
            raise error
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", once)


@pytest.mark.parametrize("after", range(7))
@pytest.mark.parametrize("moved", [False, True])
def test_all_or_nothing(own: Path, monkeypatch: pytest.MonkeyPatch, after: int, moved: bool) -> None:
    if moved:
        (own / "server/certificates/ca.key").unlink()
    before = contents(own)
    stopped(monkeypatch, after, OSError(28, "No space left on device"))
    with pytest.raises(UserError, match="No space left on device"):
        renew(own, authority=True)
    assert changed(before, own) == set()


@pytest.mark.parametrize("after", range(7))
@pytest.mark.parametrize("moved", [False, True])
def test_who_was_killed_is_undone_first(own: Path, monkeypatch: pytest.MonkeyPatch, after: int, moved: bool) -> None:
    safe = own.parent / "safe.key"
    shutil.copy(own / "server/certificates/ca.key", safe)
    if moved:
        (own / "server/certificates/ca.key").unlink()
    before = contents(own)
    stopped(monkeypatch, after, Killed())
    with pytest.raises(Killed):
        renew(own, authority=True)
    monkeypatch.undo()
    place = own / "server/certificates"
    (sentence,) = endings(place, Path("X"), datetime.now(UTC))
    assert sentence == "a renewal of certificates was interrupted; msmtrec deploy renew X undoes it and begins anew"
    found = renew(own, key=safe)
    assert next(iter(found.lines())) == "an earlier renewal was interrupted; what it had begun was undone first"
    assert changed(before, own) == SERVER
    assert trusted(own / "nodes/BE-fr/ca.crt", own)
    assert list(endings(place, own, datetime.now(UTC))) == []


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=60, seconds=1), None),
        (timedelta(days=60), "ends on {}, in 60 days"),
        (timedelta(days=1, hours=3), "ends on {}, in 1 day"),
        (timedelta(0), "ended on {}"),
    ],
)
@pytest.mark.parametrize(
    ("name", "what", "then"),
    [
        ("server", "the server's certificate", " makes a new one"),
        ("ca", "the authority", " --authority makes a new one, and a new certificate for the server"),
    ],
)
def test_it_is_said_in_time(far: Path, left: timedelta, said: str | None, name: str, what: str, then: str) -> None:
    """In one line, although the server's is over long before the authority."""
    end = read(far / f"server/certificates/{name}.crt").not_valid_after_utc
    found = list(endings(far / "server/certificates", Path("here"), end - left))
    if said is None and name == "ca":
        assert [line.split(" ended on")[0] for line in found] == ["the server's certificate"]
    else:
        expected = [] if said is None else [f"{what} {said.format(f'{end:%Y-%m-%d}')}; msmtrec deploy renew here{then}"]
        assert found == expected


def test_of_what_is_not_there_nothing_is_said(tmp_path: Path) -> None:
    assert list(endings(tmp_path, tmp_path, datetime.now(UTC))) == []
