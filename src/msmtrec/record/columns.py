"""The columns of a run's table: what their names end in, and kinds of contender."""

from __future__ import annotations

FINE_TUNED = "+ft"
"""Ends the name of a column whose models were fine-tuned after the rounds."""
AS_IT_WAS = "+0"
"""Ends the name of a column whose models are those of the run that training went on from, untouched."""
REFERENCE, POOLED = "reference", "pooled"
"""Kinds of contender that the others are tested against (`Entry.kind`)."""


def contender_of(column: str) -> str:
    """The contender whose training a column of the table comes from."""
    return column.removesuffix(FINE_TUNED).removesuffix(AS_IT_WAS)
