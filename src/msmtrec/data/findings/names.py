"""Names of scenarios that differ in nothing that one sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msmtrec.data.findings.finding import Finding, Weight, listed


def alike(scenarios: Iterable[str]) -> Iterator[Finding]:
    """Scenarios whose names are one but for case and blanks at either end; and those with such a blank."""
    groups: dict[str, list[str]] = {}
    for name in scenarios:
        groups.setdefault(name.strip().casefold(), []).append(name)
    for names in groups.values():
        if len(names) > 1:
            text = (
                f"scenarios {listed(names)} differ only in case or blanks; if they are one, write its name in one way"
            )
            yield Finding("scenario twins", "", names[0], text, size=len(names), weight=Weight.SPOILS)
        elif names[0].strip() != names[0]:
            text = f"the name of scenario '{names[0]}' begins or ends with a blank; remove it from the log"
            yield Finding("scenario blanks", "", names[0], text, size=1, weight=Weight.NOTE)
