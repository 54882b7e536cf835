"""What a client is told when it gets no scores."""

from __future__ import annotations


class Refused(Exception):
    """A request that is not answered with scores.

    Args:
        status: of HTTP.
        sentence: what is wrong and what to do; it may quote the request, so that only the client sees it.
        why: one word for logs, without anything of the request.
        later: seconds after which another try makes sense.
    """

    def __init__(self, status: int, sentence: str, why: str, later: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.why, self.later = status, sentence, why, later
