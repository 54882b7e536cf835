"""Certificates of a deployment: an authority of its own, and what it signs: the server's certificate.

Needs `cryptography`, which comes with the extra `flower`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from msmtrec.base.errors import UserError

SERVER, AUTHORITY = timedelta(days=730), timedelta(days=3650)
"""For how long they are valid. A new authority means a new file for every node, so it lasts for several servers'."""
_SKEW = timedelta(hours=1)
"""By which another machine's clock may be late."""
_HERE = ("127.0.0.1", "localhost")
"""What the server's own commands call it."""


@dataclass(frozen=True)
class Pair:
    """A private key and what belongs to it, as files hold them: PEM, or a node's in OpenSSH's form."""

    private: bytes
    public: bytes


@dataclass(frozen=True)
class Authority:
    """Who signs."""

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> Authority:
        key, name = generate_private_key(SECP384R1()), _name("msmtrec authority")
        start = _start()
        certificate = (
            _begun(name, name, key, start, start + AUTHORITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .sign(key, SHA384())
        )
        return cls(key, certificate)

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Authority:
        """Raises: UserError where one cannot be read, or they do not belong together."""
        found = read(certificate)
        try:
            private = load_pem_private_key(key.read_bytes(), None)
        except OSError as error:
            raise UserError(f"cannot read {key}: {error.strerror}") from error
        except TypeError as error:
            raise UserError(f"{key} is locked with a password; name a copy without one") from error
        except ValueError as error:
            raise UserError(f"{key} is no private key in PEM") from error
        if not isinstance(private, EllipticCurvePrivateKey) or private.public_key() != found.public_key():
            raise UserError(f"{key} is not the key of {certificate}; name the one that was made with it")
        return cls(private, found)

    @property
    def pair(self) -> Pair:
        return _pair(self.key, self.certificate)

    def server(self, names: Iterable[str]) -> Pair:
        """A server's certificate, and a key of its own; it ends with the authority at the latest.

        Args:
            names: names and addresses by which the server is reached.
        """
        own, start = generate_private_key(SECP384R1()), _start()
        end = min(start + SERVER, self.certificate.not_valid_after_utc)
        certificate = (
            _begun(_name("msmtrec server"), self.certificate.subject, own, start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, SHA384())
        )
        return _pair(own, certificate)


def names_of(host: str) -> tuple[str, ...]:
    """Of a server that is reached by `host` from nodes, and from its own machine; `host` comes first."""
    return tuple(dict.fromkeys((host, *_HERE)))


def read(path: Path) -> x509.Certificate:
    """Raises: UserError where it cannot be read."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is no certificate in PEM") from error


def names_in(path: Path) -> tuple[str, ...]:
    """Names and addresses in a server's certificate, as `names_of` gave them.

    Raises:
        UserError: it cannot be read, or has none.
    """
    try:
        found = read(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise UserError(f"{path} does not say by which name the server is reached; it is no server's") from error
    return tuple(str(one.value) for one in found)


def _start() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - _SKEW


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    """sign: other certificates."""
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> Pair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(private, certificate.public_bytes(Encoding.PEM))
