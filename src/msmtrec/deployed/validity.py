"""When the certificates of a deployment end, and what is said of it in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from msmtrec.deployed.certificates import read
from msmtrec.deployed.renewing import BEFORE

SOON = timedelta(days=60)
"""Before a certificate ends."""


def endings(certificates: Path, named: Path, now: datetime) -> Iterator[str]:
    """What ends soon, or has ended, and the command that helps; nothing of certificates that are not there.

    Args:
        certificates: the folder of the server's.
        named: the deployment, as commands name it.
        now: with its time zone.

    Raises:
        UserError: one cannot be read.
    """
    if (certificates.parent / BEFORE).exists():
        yield f"a renewal of certificates was interrupted; msmtrec deploy renew {named} undoes it and begins anew"
    for name, what, then in (
        ("ca", "the authority", " --authority makes a new one, and a new certificate for the server"),
        ("server", "the server's certificate", " makes a new one"),
    ):
        path = certificates / f"{name}.crt"
        if path.exists() and (end := read(path).not_valid_after_utc) - now <= SOON:
            yield f"{what} {_when(end, now)}; msmtrec deploy renew {named}{then}"
            break


def _when(end: datetime, now: datetime) -> str:
    if end <= now:
        return f"ended on {end:%Y-%m-%d}"
    days = (end - now).days
    return f"ends on {end:%Y-%m-%d}, in {days} day{'s' * (days != 1)}"
