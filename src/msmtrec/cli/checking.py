"""Everything that `data check` says, in the order in which it matters; the profile page says the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from msmtrec.cli.console import out
from msmtrec.data.findings.finding import Finding, Weight

if TYPE_CHECKING:
    from msmtrec.config.contender import Contender
    from msmtrec.data.logs import Logs
    from msmtrec.data.table import EncodedData

_SAID = {Weight.SPOILS: "bold red]spoils:", Weight.WARNING: "bold yellow]warning:", Weight.NOTE: "bold]note:"}


def of_rows(
    cautions: Iterable[str], logs: Logs, private: EncodedData, shared: EncodedData | None, leaks: Iterable[str]
) -> list[Finding]:
    """What there is to say of the data, the heaviest first.

    Args:
        cautions: of the settings that say where they are; leaks: features that know the label.
        private, shared: the rows as methods see them that share no embeddings, and as others do.
    """
    from msmtrec.data.findings.told import findings
    from msmtrec.experiment.described import without_group
    from msmtrec.logs.reading.words import unmet
    from msmtrec.profile.describe import outside

    sentences = [*cautions, *logs.warnings, *(outside(shared) if shared else ()), *without_group({"": private})]
    found = [Finding("leakage", "", "", sentence, size=0, weight=Weight.SPOILS) for sentence in leaks]
    found += [*findings(private), *unmet(logs)]
    found += [Finding("sentence", "", "", sentence, size=0) for sentence in sentences]
    return sorted(found, key=lambda one: -one.weight)


def of_training(contenders: Iterable[Contender], scenarios: Iterable[str]) -> Iterator[Finding]:
    """What of the training's settings does not fit the data or this machine."""
    from msmtrec.config.parse import unknown_batches
    from msmtrec.experiment.devices import lacking

    contenders = tuple(contenders)
    devices = dict.fromkeys(lacking(contender.train.device) for contender in contenders)
    for sentence in (*unknown_batches(contenders, scenarios), *filter(None, devices)):
        yield Finding("training", "", "", sentence, size=0)


def say(found: list[Finding]) -> None:
    """A line each, the heaviest first; broken between words on a terminal and left whole in a file or pipe."""
    for one in sorted(found, key=lambda one: -one.weight):
        word = "bold yellow]leakage?" if one.kind == "leakage" else _SAID[one.weight]
        out.print(f"[{word}[/] {escape(one.text)}", soft_wrap=not out.is_terminal, highlight=False)


def in_numbers(found: list[Finding]) -> str:
    """, 2 warnings, 1 note"""
    notes = sum(one.weight == Weight.NOTE for one in found)
    numbers = {"warning": len(found) - notes, "note": notes}
    return "".join(f", {n:,} {what}{'s' * (n > 1)}" for what, n in numbers.items() if n)
