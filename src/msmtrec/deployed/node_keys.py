"""Keys by which nodes are known, in OpenSSH's form, as Flower registers them.

Needs `cryptography`, which comes with the extra `flower`.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)

from msmtrec.base.errors import UserError
from msmtrec.deployed.certificates import Pair

_MADE_BY = "ssh-keygen -t ecdsa -b 384 -N '' -f node-key"


def node_key(comment: str) -> Pair:
    """A node's key. comment: stands behind the public one."""
    key = generate_private_key(SECP384R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return Pair(private, _line(key.public_key(), comment))


def public_key(path: Path, comment: str) -> bytes:
    """A node's public key that others made.

    Raises:
        UserError: it cannot be read, or is another kind of key than Flower takes.
    """
    try:
        key = load_ssh_public_key(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UserError(f"{path} is no public key in OpenSSH's form; {_MADE_BY} writes one to node-key.pub") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise UserError(f"{path} is of another kind than Flower takes; make one by {_MADE_BY}")
    return _line(key, comment)


def _line(key: EllipticCurvePublicKey, comment: str) -> bytes:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + f" {comment}\n".encode()
