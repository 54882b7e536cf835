"""Errors that a user can act on."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can repair: one sentence that says what is wrong, where, and what to do.

    The command line prints the sentence without a traceback and exits with code 2.
    """


class Diverged(UserError):
    """Training came to nothing: no usable update, or a scenario without a validation AUC in any round.

    A candidate that ends like this loses; the run goes on with the others.
    """


class Caution(UserWarning):
    """A valid setting that means less than it seems to. A category of its own, so that it can be filtered."""


def nearest(word: str, valid: Iterable[str]) -> str:
    """`did you mean 'x'?`, or the list of valid words where nothing is near."""
    words = sorted(valid)
    found = close(word, words)
    return f"did you mean '{found}'?" if found else "valid: " + ", ".join(words)


def close(word: str, valid: Iterable[str]) -> str | None:
    """The one valid word that is meant, or None where nothing is near."""
    words = sorted(valid)
    found = [known for known in words if known.lower() == word.lower()]
    found = found or get_close_matches(word, words, n=1, cutoff=0.5)
    return found[0] if found else None
