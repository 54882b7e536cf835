"""How a server reaches nodes, whatever carries the messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from msmtrec.base.errors import Diverged, UserError
from msmtrec.deployed.messages import Answer, Asked, Refused

Kind = TypeVar("Kind")


class Link(Protocol):
    """Asks nodes, all at once, and waits: their answers, one after the other, in the order of the questions.

    Whoever does not answer in time is not among them.
    """

    def __call__(self, asked: Mapping[str, Asked]) -> Iterable[tuple[str, Answer]]: ...


def all_of(link: Link, asked: Mapping[str, Asked], kind: type[Kind]) -> dict[str, Kind]:
    """Answers of all nodes that are asked, in their order.

    Raises:
        Diverged: a node says so.
        UserError: a node refuses, or does not answer.
    """
    answers = dict(link(asked))
    found: dict[str, Kind] = {}
    for node in asked:
        answer: Any = answers.get(node)
        if answer is None:
            raise UserError(f"node '{node}' does not answer; see that it runs, then run it again: it goes on")
        if isinstance(answer, Refused):
            raise (Diverged if answer.kind == "diverged" else UserError)(answer.sentence)
        if not isinstance(answer, kind):
            raise UserError(f"node '{node}' answered something else than was asked; do all run the same version?")
        found[node] = answer
    return found
