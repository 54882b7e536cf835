"""Errors that a user can act on."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can repair: one sentence that says what is wrong, where, and what to do.

    The command line prints the sentence without a traceback and exits with code 2.
    """


def nearest(word: str, valid: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the list of valid words where nothing is near."""
    words = sorted(valid)
    close = [known for known in words if known.lower() == word.lower()]
    close = close or get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return "valid: " + ", ".join(words)
