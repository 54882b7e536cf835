"""What is told of a request afterwards: one log line, and numbers for the metrics."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from msmtrec.serving.http.journal import say
from msmtrec.serving.http.metrics import Metrics
from msmtrec.serving.http.stages import Stages

_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
KEY = "msmtrec.story"


@dataclass
class Story:
    """One request. Nothing here is of its body but how many rows it had.

    Args:
        identifier: `X-Request-Id` of the request, or a new one.
        scenario: if there is one of that name.
        model: version of the model that answered.
        why: a word, where it was refused.
    """

    identifier: str
    _: KW_ONLY
    stages: Stages = field(default_factory=Stages)
    scores: bool = False
    scenario: str = ""
    rows: int = 0
    model: str = ""
    why: str = ""
    status: int = 500


class Storyteller:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        story = scope[KEY] = Story(given if _ID.fullmatch(given) else uuid4().hex)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                story.status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = story.identifier
            await send(message)

        try:
            await self.app(scope, receive, sent)
        finally:
            self._tell(story, scope)

    def _tell(self, story: Story, scope: Scope) -> None:
        total, seconds = story.stages.total, story.stages.seconds
        if story.scores:
            self.metrics.request(story.scenario, story.status, story.rows, seconds, total)
        fields = {
            "id": story.identifier,
            "method": scope["method"],
            "route": getattr(scope.get("route"), "path", ""),
            "status": story.status,
            "scenario": story.scenario,
            "rows": story.rows,
            "model": story.model,
            "refused": story.why,
        }
        spent = {stage: round(value * 1000, 3) for stage, value in {**seconds, "total": total}.items()}
        say("request", **{name: value for name, value in fields.items() if value}, ms=spent)
