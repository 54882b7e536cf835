"""How scenarios come to common statistics: each says something of its rows, hears all scenarios' together, goes on.

A scenario's half is a generator. It yields what the scenario says (`Said`), is sent what all have said together, and
returns what the scenario knows in the end. Whoever brings the halves together sees nothing else, on one machine as over
a network; and a half that is told the same again comes to the same.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msmtrec.statistics.history import History, summed
from msmtrec.statistics.inputs import Moments
from msmtrec.statistics.survey import Survey

Known = TypeVar("Known")


@dataclass(frozen=True)
class Said:
    """One step: of a scenario, or of all together. Plain sums but for the survey.

    Args:
        survey: what is there to be counted.
        histories: field -> counts of its values.
        moments: of what rows read from sums.
    """

    survey: Survey | None = None
    histories: Mapping[str, History] = field(default_factory=dict)
    moments: Moments | None = None

    @classmethod
    def together(cls, parts: Sequence[Said]) -> Said:
        """Of scenarios that are at the same step, in table order: sums of floats depend on it in the last bit.

        Raises:
            ValueError: they are not.
        """
        surveys = [part.survey for part in parts if part.survey is not None]
        moments = [part.moments for part in parts if part.moments is not None]
        names = tuple(parts[0].histories)
        if len(surveys) not in (0, len(parts)) or len(moments) not in (0, len(parts)):
            raise ValueError("scenarios are at different steps")
        if any(tuple(part.histories) != names for part in parts):
            raise ValueError("scenarios have counted different fields")
        return cls(
            Survey.together(surveys) if surveys else None,
            {name: summed([part.histories[name] for part in parts]) for name in names},
            sum(moments[1:], moments[0]) if moments else None,
        )


Half = Generator[Said, Said, Known]
"""A scenario's half of an exchange."""


def step(half: Half[Known], heard: Said | None) -> Said | Known:
    """What a scenario says after it has heard one thing more, None at first; or what it knows in the end."""
    try:
        return next(half) if heard is None else half.send(heard)
    except StopIteration as end:
        known: Known = end.value
        return known


def answered(half: Half[Known], heard: Sequence[Said]) -> Said | Known:
    """The same of one that begins now, and hears so much at once."""
    found = step(half, None)
    for one in heard:
        found = step(half, one)
    return found


def together(halves: Mapping[str, Half[Known]]) -> dict[str, Known]:
    """Scenario -> what it knows, of halves that are all on this machine."""
    heard: Said | None = None
    while True:
        found = {name: step(half, heard) for name, half in halves.items()}
        said = {name: one for name, one in found.items() if isinstance(one, Said)}
        if not said:
            return known_of(found)
        if len(said) < len(halves):
            raise ValueError("scenarios are at different steps")
        heard = Said.together(list(said.values()))


def known_of(found: Mapping[str, Said | Known]) -> dict[str, Known]:
    """Of scenarios that have come to the end.

    Raises:
        ValueError: one has not.
    """
    known = {name: one for name, one in found.items() if not isinstance(one, Said)}
    if len(known) < len(found):
        raise ValueError("a scenario has not heard all")
    return known
