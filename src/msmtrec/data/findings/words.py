"""Texts that mostly stand for no value, as values of fields with ids."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from msmtrec.data.findings.finding import Finding, percent
from msmtrec.data.findings.watched import Watched

WORDS = (
    *("NULL", "Null", "null", "NIL", "nil", "None", "NaN", "Nan", "nan", "NAN", "NA", "<NA>", "N/A", "n/a", "#N/A"),
    *("NaT", "\\N", "-", "--", "?", "undefined"),
)
"""As databases, spreadsheets and programs write that there is nothing. `none` and `unknown` are values."""
RARE = 1e-4
"""Share of a column's training values below which a word is taken for a name."""


def there(vocabulary: pl.Series) -> list[str]:
    """The words among sorted values."""
    place = vocabulary.search_sorted(pl.Series(WORDS)).clip(0, len(vocabulary) - 1)
    return [word for word, value in zip(WORDS, vocabulary.gather(place), strict=True) if word == value]


def found(column: str, scenario: str, watched: Watched) -> Iterator[Finding]:
    """A finding, if such words have more than RARE of the training rows."""
    values, times, total = watched.of(column)
    known = {word: int(times[values.search_sorted(word)]) for word in there(values)}
    share = sum(known.values()) / max(total, 1)
    if known and share >= RARE:
        said = " and ".join(f"'{word}' {times:,} times" for word, times in known.items())
        listing = ", ".join(f"'{word}'" for word in known)
        text = (
            f"column '{column}' of scenario '{scenario}' holds {said} ({percent(share)} of its training values),"
            f" ids like any other; if nothing is meant, set missing: [{listing}]"
        )
        yield Finding("words", column, scenario, text, size=share)
