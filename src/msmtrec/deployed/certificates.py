"""Certificates and keys of a deployment: an authority of its own, the server's certificate, a key for each node.

Needs `cryptography`, which comes with the extra `flower`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=730)
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
class Certificates:
    authority: Pair
    server: Pair


def certificates(host: str) -> Certificates:
    """An authority, and the certificate of a server that is reached by `host` or from its own machine.

    Args:
        host: an address or a name.
    """
    start = datetime.now(UTC).replace(microsecond=0) - _SKEW
    root, own = generate_private_key(SECP384R1()), generate_private_key(SECP384R1())
    issuer = _name("msmtrec authority")
    authority = (
        _begun(issuer, issuer, root, start)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .sign(root, SHA384())
    )
    names = dict.fromkeys((host, *_HERE))
    server = (
        _begun(_name("msmtrec server"), issuer, own, start)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .sign(root, SHA384())
    )
    return Certificates(_pair(root, authority), _pair(own, server))


def node_key(comment: str) -> Pair:
    """A node's key. comment: stands behind the public one."""
    key = generate_private_key(SECP384R1())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return Pair(
        key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), public + f" {comment}\n".encode()
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, start: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALID)
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
