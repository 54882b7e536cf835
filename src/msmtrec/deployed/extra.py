"""What comes with the extra `flower`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msmtrec.base.errors import UserError


@contextmanager
def extra() -> Iterator[None]:
    """Around imports. Raises: UserError where a package is not there."""
    try:
        yield
    except ImportError as error:
        raise UserError("a deployment needs packages: pip install 'msmtrec[flower]'") from error
