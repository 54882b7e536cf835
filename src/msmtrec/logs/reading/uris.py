"""URIs of databases: that none holds a secret, and what people are told of one."""

from __future__ import annotations

from urllib.parse import parse_qsl


def secrets_in(uri: str) -> bool:
    """Whether a URI holds a password: after the user, or as a parameter."""
    rest = uri.partition("://")[2]
    keys = {key.lower() for key, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True)}
    return ":" in rest.rpartition("@")[0] or not keys.isdisjoint({"password", "sslpassword", "oauth_client_secret"})


def without_user(uri: str) -> str:
    """Where a URI leads, for people."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
